"""Streams as configurations, exports and models of earlier versions name them."""

from __future__ import annotations

FORMER = {"both": "rgb_difference"}
"""What a stream was called, and what it is called now."""


def streams_of_input(text: object) -> object:
    """A value of `model.input` as `model.streams`; anything but a text stays as it is.

    Example:
        >>> streams_of_input("both+flow")
        ['rgb_difference', 'flow']
    """
    if not isinstance(text, str):
        return text
    return [FORMER.get(name, name) for name in text.split("+")]


def layer_name(name: str) -> str:
    """The name that a layer of a model has now.

    Example:
        >>> layer_name("both_features")
        'rgb_difference_features'
    """
    for before, now in FORMER.items():
        if name.startswith(f"{before}_"):
            return name.replace(before, now, 1)
    return name
