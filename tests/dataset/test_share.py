import math

import numpy as np
import pytest

from pipeline.dataset.share import Share


@pytest.mark.parametrize("number", [1, 3, 4, 5, 8, 23])
@pytest.mark.parametrize(("count", "devices"), [(1, 2), (2, 1), (2, 2), (3, 1)])
def test_each_video_is_judged_once_and_all_devices_are_as_busy(number, count, devices):
    batch_size, counted, turns = 4, [], set()
    for index in range(count):
        numbers, counts, each = Share(index, count, devices).dealt(number, batch_size)
        turns.add(each)
        assert len(counts) == each * devices
        starts = np.arange(len(counts)) * batch_size
        batches = [numbers[start : start + batch_size] for start in starts]
        assert sum(map(len, batches)) == len(numbers)
        # Only the last batch of all may be smaller, so that batches stay as they were dealt.
        assert all(len(batch) == batch_size for batch in batches[:-1])
        for batch, is_counted in zip(batches, counts, strict=True):
            counted += batch if is_counted else []
    assert sorted(counted) == list(range(number))
    assert turns == {math.ceil(math.ceil(number / batch_size) / (count * devices))}


def test_rows_are_next_to_each_other_and_together_the_batch():
    rows = [np.arange(12)[Share(index, 3, 2).rows(12)] for index in range(3)]
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(12))
    assert {Share(index, 3, 2).of_each(12) for index in range(3)} == {2}
