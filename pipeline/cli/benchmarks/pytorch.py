"""The network of `build_recognizer`, default blocks, as one writes it in PyTorch."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from pipeline.config import RunConfig


class Recognizer(nn.Module):
    """Frame differences, Conv2d blocks on all frames at once, channels last, and an LSTM.

    It takes frames uint8 (B, T, H, W, 3), all of them real, and gives logits (B, num_classes).
    """

    def __init__(self, config: RunConfig, num_classes: int) -> None:
        super().__init__()
        self.gain = config.model.difference_gain
        momentum = 1 - config.backbone.momentum
        blocks: list[nn.Module] = []
        channels, side = 3, config.frames.side
        for filters in config.backbone.filters:
            blocks += [
                nn.Conv2d(channels, filters, 3, padding="same", bias=False),
                nn.BatchNorm2d(filters, momentum=momentum),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),
            ]
            channels, side = filters, -(-side // 2)
        self.cnn = nn.Sequential(*blocks, nn.Flatten())
        self.normalise = nn.BatchNorm1d(channels * side * side, momentum=momentum)
        self.dropout = nn.Dropout(config.temporal.dropout)
        self.lstm = nn.LSTM(channels * side * side, config.temporal.units, batch_first=True)
        self.head = nn.Sequential(
            nn.Dropout(config.model.dropout), nn.Linear(config.temporal.units, num_classes)
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """See the class."""
        scaled = frames.float() / 255
        steps = (scaled[:, 1:] - scaled[:, :-1]) * self.gain
        pixels = torch.cat([torch.zeros_like(scaled[:, :1]), steps], dim=1)
        # (N, 3, H, W) by strides alone: in memory the channels are last, as they came.
        features = self.cnn(pixels.flatten(0, 1).permute(0, 3, 1, 2))
        features = self.dropout(self.normalise(features)).unflatten(0, frames.shape[:2])
        outputs, _ = self.lstm(features)
        return self.head(outputs.mean(dim=1))


def training_step(
    config: RunConfig, num_classes: int, *, bfloat16: bool
) -> Callable[[Mapping[str, np.ndarray], np.ndarray], None]:
    """A function that trains one step on a batch and its one-hot targets, by autocast or not."""
    torch.manual_seed(0)
    model = Recognizer(config, num_classes).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        model.parameters(), config.train.learning_rate, weight_decay=config.train.weight_decay
    )
    loss = nn.CrossEntropyLoss()

    def step(inputs: Mapping[str, np.ndarray], targets: np.ndarray) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(torch.from_numpy(inputs["frames"]))
        loss(logits.float(), torch.from_numpy(targets)).backward()
        optimizer.step()

    return step
