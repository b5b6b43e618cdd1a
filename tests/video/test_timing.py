import math

import pytest

from pipeline.video.timing import increasing, near_clock, on_display

MILLISECOND = [0.0, 0.033, 0.067, 0.1, 0.133, 0.167]  # 30 frames per second, as Matroska rounds


def test_increasing_and_each_jump_ahead_is_told():
    for timestamps, expected in (
        ([0.0, 0.5, 1.0], [0.0, 0.5, 1.0]),
        ([7.0, 7.5, 8.0], [0.0, 0.5, 1.0]),  # from the first frame on
        ([-0.5, 0.0, 0.5], [0.0, 0.5, 1.0]),
        ([0.0, 0.1, 1.0, 1.2], [0.0, 0.1, 1.0, 1.2]),  # variable frame rate
        ([0.0, 0.0, 0.0, 0.0], [0.0, 0.5, 1.0, 1.5]),  # none at all: index / fps
        ([1.0, 1.5, 2.0, 0.0, 0.0], [0.0, 0.5, 1.0, 1.5, 2.0]),  # none for the last frames
        ([0.0, 1.0, 0.5, 2.0], [0.0, 1.0, 1.5, 2.0]),  # one goes back
        ([0.0, 1.0, 1.0, 3.0], [0.0, 1.0, 1.5, 3.0]),  # one stands still
        ([0.0, 1.0, 11.0, 12.0], [0.0, 1.0, 11.0, 12.0]),  # the longest gap
        ([0.0, 1.0, 86400.0, 86401.0], [0.0, 1.0, 1.5, 2.5]),  # a jump ahead
        ([0.0, 1.0, 86400.0, 2.0, 3.0], [0.0, 1.0, 1.5, 2.0, 3.0]),  # one wild timestamp
        ([0.0, 1e9, 1e9 + 1, 2e9, 2e9 + 1], [0.0, 0.5, 1.5, 2.0, 3.0]),  # two jumps
        ([0.0, 1.0, math.inf, 2.0, 3.0], [0.0, 1.0, 1.5, 2.0, 3.0]),
        ([0.0, 1.0, math.nan, 2.0], [0.0, 1.0, 1.5, 2.0]),
        ([], []),
    ):
        assert list(increasing(timestamps, frame_seconds=0.5)) == expected
    told, stamps = [], [5.0, 6.0, 46.5, 46.0, 47.0, 99.0]
    times = increasing(stamps, frame_seconds=0.5, on_jump=lambda: told.append(True))
    found = [(time, len(told)) for time in times]
    assert found == [(0.0, 0), (1.0, 0), (1.5, 1), (2.0, 1), (2.5, 1), (3.0, 2)]


def test_near_clock():
    for times, arrivals, expected in (
        ([0, 1, 2, 3], [7.0, 8.2, 8.9, 10.5], [0, 1, 2, 3]),  # unevenly: as the stream says
        ([0, 1, 2, 3, 4], [0, 2, 4, 6, 8], [0, 1, 3, 5, 7]),  # half as fast as it says
        ([0, 2, 4, 6, 8], [0, 1, 2, 3, 4], [0, 2, 3, 4, 5]),  # twice as fast
        ([0, 1, 1e6, 1e6 + 1], [0, 1, 2, 3], [0, 1, 3, 4]),  # a jump
        ([0, 1, 2, 3, 4], [0, 1, 5, 5, 5], [0, 1, 4, 5, 6]),  # a pause, then what was held up
        ([], [], []),
    ):
        shown = near_clock(times, iter(arrivals).__next__, most_seconds=1)
        assert list(shown) == pytest.approx(expected)


class Player:
    """Steps through frames, which are their own numbers, and remembers what was retrieved."""

    def __init__(self, times):
        self.times = times
        self.index = -1
        self.retrieved, self.again = [], []

    def steps(self):
        for time in self.times:
            self.index += 1
            yield time

    def retrieve(self):
        self.retrieved.append(self.index)
        return self.index

    def retrieve_previous(self):
        self.again.append(self.index - 1)
        return self.index - 1

    def shown(self, **options):
        return on_display(self.steps(), self.retrieve, self.retrieve_previous, **options)


def test_on_display():
    for times, fps, frame_seconds, expected in (
        # The rate of the file: every frame once.
        ([0.0, 0.1, 0.2, 0.3], 10, 0.1, [0, 1, 2, 3]),
        (MILLISECOND, 30, 1 / 30, [0, 1, 2, 3, 4, 5]),
        # Slower: frames are left out.
        ([0.0, 0.1, 0.2, 0.3], 5, 0.1, [0, 2]),
        (MILLISECOND, 15, 1 / 30, [0, 2, 4]),
        (MILLISECOND, 10, 1 / 30, [0, 3]),
        ([0.0, 0.1, 0.2, 0.3], 4, 0.1, [0, 2]),  # ticks 0, 0.25; at 0.25 frame 2 is on display
        # Faster: frames repeat, the last one for its duration.
        ([0.0, 0.1, 0.2], 20, 0.1, [0, 0, 1, 1, 2, 2]),
        ([0.0, 0.1], 25, 0.1, [0, 0, 0, 1, 1]),  # ticks 0, 0.04, 0.08, 0.12, 0.16
        # Variable frame rate: what is on display stays until the next frame comes.
        ([0.0, 0.1, 0.7, 0.8], 10, 0.1, [0, 1, 1, 1, 1, 1, 1, 2, 3]),
        ([0.0, 0.01, 0.02, 0.5], 4, 0.1, [0, 2, 3]),
        # One frame, however short: one tick.
        ([0.0], 10, 0.1, [0]),
        ([0.0], 10, 0.35, [0, 0, 0, 0]),
        ([0.0], 10, 0.0001, [0]),
        ([0.0, 0.0103], 2000, 0.01, [0] * 19 + [1] * 20),  # a tick is less than the tolerance
        ([7.3, 7.4, 7.5], 5, 0.1, [0, 2]),  # from the first frame on
        ([], 10, 0.1, []),
    ):
        shown = list(Player(times).shown(fps=fps, frame_seconds=frame_seconds))
        assert all(ticks > 0 for _, ticks in shown)
        assert [frame for frame, ticks in shown for _ in range(ticks)] == expected


def test_only_frames_that_a_tick_is_due_for_are_retrieved_if_need_be_after_all():
    player = Player([index / 30 for index in range(60)])
    shown = [frame for frame, _ in player.shown(fps=10, frame_seconds=1 / 30)]
    assert shown == player.retrieved == list(range(0, 60, 3))
    assert not player.again
    # Frame 1 is to last until 0.2, so that no tick needs it; it lasts until 0.6.
    times = [0.0, 0.1, 0.6, 0.7, 0.8]
    player = Player(times)
    assert list(player.shown(fps=2, frame_seconds=0.1)) == [(0, 1), (1, 1)]
    assert (player.retrieved, player.again) == ([0], [1])
    player = Player(times)
    shown = player.shown(fps=2, frame_seconds=0.1, is_uneven=lambda: True)
    assert list(shown) == [(0, 1), (1, 1)]
    assert (player.retrieved, player.again) == ([0, 1, 2, 3, 4], [])


@pytest.mark.parametrize("fps", [1, 7, 12.5, 23.976, 24, 29.97, 60])
def test_a_tick_is_never_more_than_rounding_away_from_its_frame(fps):
    times = [index / 29.97 for index in range(300)]
    shown = Player(times).shown(fps=fps, frame_seconds=1 / 29.97)
    frames = [times[index] for index, ticks in shown for _ in range(ticks)]
    lag = [tick / fps - time for tick, time in enumerate(frames)]
    assert len(lag) == pytest.approx(300 / 29.97 * fps, abs=1)
    assert min(lag) > -0.0011
    assert max(lag) < 1 / 29.97
