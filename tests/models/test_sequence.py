import numpy as np
import tensorflow as tf

from pipeline.models.sequence import (
    AttentionPooling,
    FrameStatistics,
    ReverseFrames,
    TemporalPooling,
    ZeroPadding,
)

SEQUENCE = np.array([[[1.0], [3.0], [100.0]], [[-5.0], [-1.0], [-3.0]]], np.float32)
MASK = np.array([[True, True, False], [True, True, True]])


def test_temporal_pooling_ignores_padding():
    mean = TemporalPooling("mean")(SEQUENCE, mask=MASK)
    top = TemporalPooling("max")(SEQUENCE, mask=MASK)
    last = TemporalPooling("last")(SEQUENCE, mask=MASK)
    np.testing.assert_allclose(mean, [[2.0], [-3.0]])
    np.testing.assert_allclose(top, [[3.0], [-1.0]])
    np.testing.assert_allclose(last, [[3.0], [-3.0]])


def test_attention_ignores_padding_and_weighs_frames():
    layer = AttentionPooling(4)
    pooled = layer(SEQUENCE, mask=MASK).numpy()
    spoilt = np.where(MASK[..., None], SEQUENCE, 7.0).astype(np.float32)
    np.testing.assert_array_equal(layer(spoilt, mask=MASK).numpy(), pooled)
    assert 1 < pooled[0, 0] < 3
    layer.score.kernel.assign(np.zeros((4, 1)))  # all frames alike: the mean
    np.testing.assert_allclose(layer(SEQUENCE, mask=MASK).numpy(), [[2.0], [-3.0]])


def test_zero_padding_leaves_real_frames():
    np.testing.assert_array_equal(
        ZeroPadding()(SEQUENCE, mask=MASK).numpy(), np.where(MASK[..., None], SEQUENCE, 0)
    )


def test_reversing_leaves_the_padding_at_the_end():
    turned = ReverseFrames()(SEQUENCE, mask=MASK).numpy()
    assert turned[..., 0].tolist() == [[3, 1, 100], [-3, -1, -5]]


def test_statistics_of_real_frames():
    sequence = np.array(
        [[1.0, 3.0, 2.0, 6.0, 99.0], [5.0, 9.0, 2.0, 99.0, 99.0], [4.0] + [99.0] * 4]
    )
    mask = np.arange(5) < np.array([[4], [3], [1]])
    found = FrameStatistics()(sequence[..., None].astype(np.float32), mask=mask).numpy()
    wanted = [
        [3.0, np.std([1, 3, 2, 6]), (2 + 1 + 4) / 3, 4.0 - 2.0],
        [16 / 3, np.std([5, 9, 2]), (4 + 7) / 2, 2.0 - 5.0],  # without the middle one
        [4.0, 0.0, 0.0, 0.0],
    ]
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_the_gradient_of_statistics_of_a_still_clip_is_a_number():
    still = tf.ones((1, 3, 2))
    with tf.GradientTape() as tape:
        tape.watch(still)
        total = tf.reduce_sum(FrameStatistics()(still, mask=tf.ones((1, 3), tf.bool)))
    assert np.isfinite(tape.gradient(total, still)).all()
