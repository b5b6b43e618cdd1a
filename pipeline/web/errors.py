"""Errors that pages tell in their own way."""

from __future__ import annotations

from pipeline.errors import DataError


class OutsideError(DataError):
    """A name that is not one of a file or folder in the workspace."""


class MissingError(DataError):
    """Something is missing; one can go on without it."""


class ChangedError(DataError):
    """What was to be written was changed meanwhile by somebody else."""


class RunningError(DataError):
    """Something cannot begin, since something else is running."""
