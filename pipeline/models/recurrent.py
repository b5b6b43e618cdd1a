"""Recurrent layers that CPUs and converters run fast; the weights are Keras's."""

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
    """A recurrent layer of Keras, unrolled.

    What the inputs contribute is computed for all frames in one multiplication; only the state
    goes from frame to frame. Keras multiplies frame by frame. Training on 16 frames of 1,536
    features then takes more than twice the time, and a converted graph holds a packed copy of the
    largest weights for each frame.

    Args:
        units: Length of the output.
        return_sequences: Whether the output of every frame is returned, or that of the last one.
        dropout: Share of the inputs dropped in training, the same ones in each frame of a clip.
        recurrent_dropout: Share of the outputs that do not reach the next frame in training, the
            same ones in each frame.
        regularizer: Penalty on the weights.

    Call arguments:
        sequence: float (B, T, F), T static.
        mask: bool (B, T), true for real frames, right-padded.

    Returns:
        float (B, T, units), or float (B, units) of the last real frame.
    """

    def __init__(
        self,
        units: int,
        *,
        return_sequences: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        regularizer: keras.Regularizer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.return_sequences = units, return_sequences
        self.regularizer = keras.regularizers.get(regularizer)
        self.cell = self.cell_class(
            units,
            kernel_regularizer=self.regularizer,
            recurrent_regularizer=self.regularizer,
            name="cell",
        )
        self.dropout = keras.layers.Dropout(dropout, noise_shape=(None, 1, None))
        self.recurrent_dropout = keras.layers.Dropout(recurrent_dropout)

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
        sequence = self.dropout(sequence)
        projected = self.project(ops.reshape(sequence, (-1, num_features)))
        projected = ops.reshape(projected, (-1, num_frames, projected.shape[-1]))
        # A product with 0 and 1 keeps to what converters run fast, which a choice does not.
        real = ops.cast(mask, sequence.dtype)[:, :, None]
        state = self.first_state(projected[:, 0])
        kept = self.recurrent_dropout(ops.ones_like(state[0]))
        outputs = []
        for time in range(num_frames):
            after = self.advance(projected[:, time], state, kept)
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
        """Contribution of inputs, float (N, F), to the gates."""
        raise NotImplementedError

    def advance(self, projected: tf.Tensor, state: State, kept: tf.Tensor) -> State:
        """The state after one more frame; its first part is the output.

        Args:
            projected: What `project` gave for the frame, float (B, gates * units).
            state: The state before it.
            kept: Factor on the output before it on its way to the gates.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {
            **super().get_config(),
            "units": self.units,
            "return_sequences": self.return_sequences,
            "dropout": self.dropout.rate,
            "recurrent_dropout": self.recurrent_dropout.rate,
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }


@_register
class UnrolledLSTM(Unrolled):
    """See `Unrolled`. Source: Hochreiter and Schmidhuber (1997), gates as in Keras."""

    cell_class = keras.layers.LSTMCell
    num_states = 2

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """From (N, F) to (N, 4 * units)."""
        return ops.matmul(inputs, self.cell.kernel) + self.cell.bias

    def advance(self, projected: tf.Tensor, state: State, kept: tf.Tensor) -> State:
        """The output and the cell after one more frame."""
        output, cell = state
        gates = projected + ops.matmul(output * kept, self.cell.recurrent_kernel)
        enter, forget, candidate, leave = ops.split(gates, 4, axis=1)
        cell = ops.sigmoid(forget) * cell + ops.sigmoid(enter) * ops.tanh(candidate)
        return ops.sigmoid(leave) * ops.tanh(cell), cell


@_register
class UnrolledGRU(Unrolled):
    """See `Unrolled`. Source: Cho et al. (2014), with the reset gate after the product."""

    cell_class = keras.layers.GRUCell
    num_states = 1

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """From (N, F) to (N, 3 * units)."""
        return ops.matmul(inputs, self.cell.kernel) + self.cell.bias[0]

    def advance(self, projected: tf.Tensor, state: State, kept: tf.Tensor) -> State:
        """The output after one more frame."""
        (output,) = state
        recurrent = ops.matmul(output * kept, self.cell.recurrent_kernel) + self.cell.bias[1]
        update, reset, candidate = ops.split(projected, 3, axis=1)
        update_state, reset_state, candidate_state = ops.split(recurrent, 3, axis=1)
        update = ops.sigmoid(update + update_state)
        candidate = ops.tanh(candidate + ops.sigmoid(reset + reset_state) * candidate_state)
        return (update * output + (1 - update) * candidate,)
