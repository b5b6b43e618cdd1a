from pipeline.evaluation.mistakes import Mistake, longest_mistakes
from tests.evaluation.recordings import NAMES, at_once, exclusive, recording


def spans(recordings, *, exclusive=True, most=9):
    found = longest_mistakes(recordings, NAMES, exclusive=exclusive, most=most)
    return [(each.recording, each.first_frame, each.last_frame) for each in found]


def test_the_longest_come_first_in_seconds():
    slow = exclusive("aabbb", "bbbbb", fps=1.0)
    fast = exclusive("aaaaab", "ccccca", fps=10.0)
    assert spans([fast, slow]) == [(1, 0, 1), (0, 0, 4), (0, 5, 5)]
    assert spans([fast, slow], most=1) == [(1, 0, 1)]
    assert spans([exclusive("ab", "ab")]) == []


def test_what_is_said_of_one():
    (mistake,) = longest_mistakes(
        [exclusive("caaaaaac", "cbbcbbbc", fps=2.0)], NAMES, exclusive=True, most=3
    )
    assert mistake == Mistake(0, 1, 6, 0.5, 3.5, ("a",), [(("b",), 5 / 6), (("c",), 1 / 6)])


def test_several_classes_or_none():
    pair = recording(at_once("#.", "#.", ".."), at_once("#.", "..", ".#"))
    first, second = longest_mistakes([pair], NAMES, exclusive=False, most=3)
    assert (first.human, first.machine) == (("a", "b"), [(("a",), 1.0)])
    assert (second.human, second.machine) == ((), [(("c",), 1.0)])


def test_the_most_frequent_answers_alone_are_told():
    human = at_once("......", "......", "......")
    machine = at_once("######", "...###", ".....#")
    (mistake,) = longest_mistakes([recording(human, machine)], NAMES, exclusive=False, most=1)
    assert mistake.machine == [(("a",), 1 / 2), (("a", "b"), 1 / 3)]


def test_a_span_ends_where_nothing_is_known_and_where_the_human_says_something_else():
    assert spans([exclusive("aa?aabb", "bbbbbaa")]) == [(0, 0, 1), (0, 3, 4), (0, 5, 6)]
