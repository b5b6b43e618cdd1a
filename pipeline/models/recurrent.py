"""Recurrent layers as converters need them, and one frame at a time; the weights are Keras's."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from pipeline.models.sequence import EndOfMask

_register = keras.saving.register_keras_serializable(package="clipline")

State = tuple[tf.Tensor, ...]
"""What a recurrent layer remembers of the frames before: each float (B, units)."""


class Unrolled(EndOfMask):
    """Inference with a recurrent layer of Keras, unrolled.

    What the inputs contribute is computed for all frames in one multiplication; only the state
    goes from frame to frame. Keras multiplies frame by frame, so that a converted graph holds a
    packed copy of the largest weights for each frame: with 16 frames, 16 times the memory.

    Args:
        units: Length of the output.
        return_sequences: Whether the output of every frame is returned, or that of the last one.

    Call arguments:
        sequence: float (B, T, F), T static.
        mask: bool (B, T), true for real frames, right-padded.

    Returns:
        float (B, T, units), or float (B, units) of the last real frame.
    """

    def __init__(self, units: int, *, return_sequences: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.return_sequences = units, return_sequences

    def build(self, sequence_shape: tuple[int | None, ...], *_: object) -> None:
        """Makes the weights."""
        self.cell.build((sequence_shape[0], sequence_shape[-1]))

    def compute_output_shape(
        self, sequence_shape: tuple[int | None, ...], *_: object
    ) -> tuple[int | None, ...]:
        """(B, T, F) -> (B, T, units) or (B, units)."""
        time = sequence_shape[1:2] if self.return_sequences else ()
        return (sequence_shape[0], *time, self.units)

    def call(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """See the class."""
        num_frames, num_features = sequence.shape[1:]
        projected = self.project(ops.reshape(sequence, (-1, num_features)))
        projected = ops.reshape(projected, (-1, num_frames, projected.shape[-1]))
        # A product with 0 and 1 keeps to what converters run fast, which a choice does not.
        real = ops.cast(mask, sequence.dtype)[:, :, None]
        state = self.first_state(projected[:, 0])
        outputs = []
        for time in range(num_frames):
            after = self.step(projected[:, time], state)
            keep = real[:, time]
            state = tuple(
                keep * new + (1 - keep) * old for new, old in zip(after, state, strict=True)
            )
            outputs.append(state[0])
        return ops.stack(outputs, axis=1) if self.return_sequences else outputs[-1]

    def first_state(self, like: tf.Tensor) -> State:
        """The state before the first frame, for as many clips as there are rows."""
        zeros = ops.zeros_like(like[:, : self.units])
        return (zeros,) * self.num_states

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """What inputs, float (N, F), contribute to the gates."""
        raise NotImplementedError

    def step(self, projected: tf.Tensor, state: State) -> State:
        """The state after one more frame; its first part is the output."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        options = {"units": self.units, "return_sequences": self.return_sequences}
        return {**super().get_config(), **options}


@_register
class UnrolledLSTM(Unrolled):
    """See `Unrolled`. Source: Hochreiter and Schmidhuber (1997), gates as in Keras."""

    num_states = 2

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.cell = keras.layers.LSTMCell(units, name="cell")

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """From (N, F) to (N, 4 * units)."""
        return ops.matmul(inputs, self.cell.kernel) + self.cell.bias

    def step(self, projected: tf.Tensor, state: State) -> State:
        """The output and the cell after one more frame."""
        output, cell = state
        gates = projected + ops.matmul(output, self.cell.recurrent_kernel)
        enter, forget, candidate, leave = ops.split(gates, 4, axis=1)
        cell = ops.sigmoid(forget) * cell + ops.sigmoid(enter) * ops.tanh(candidate)
        return ops.sigmoid(leave) * ops.tanh(cell), cell


@_register
class UnrolledGRU(Unrolled):
    """See `Unrolled`. Source: Cho et al. (2014), with the reset gate after the product."""

    num_states = 1

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.cell = keras.layers.GRUCell(units, name="cell")

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """From (N, F) to (N, 3 * units)."""
        return ops.matmul(inputs, self.cell.kernel) + self.cell.bias[0]

    def step(self, projected: tf.Tensor, state: State) -> State:
        """The output after one more frame."""
        (output,) = state
        recurrent = ops.matmul(output, self.cell.recurrent_kernel) + self.cell.bias[1]
        update, reset, candidate = ops.split(projected, 3, axis=1)
        update_state, reset_state, candidate_state = ops.split(recurrent, 3, axis=1)
        update = ops.sigmoid(update + update_state)
        candidate = ops.tanh(candidate + ops.sigmoid(reset + reset_state) * candidate_state)
        return (update * output + (1 - update) * candidate,)
