"""Errors that a user can put right: each says what was expected, what came and the next step."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.text import nearest, one_line, suggestion, without_secrets


class PipelineError(Exception):
    """A mistake in the input, the configuration or the data; scripts print it as one line."""


class ConfigError(PipelineError):
    """A configuration key or value that is not allowed."""


class DataError(PipelineError):
    """A folder, manifest or prepared data set that cannot be used as it is."""


class VideoDecodeError(PipelineError):
    """A video file from which no frame can be had.

    Args:
        path: The file, or an address; what is secret in it is not kept.
        reason: What went wrong and, where possible, what to do.
    """

    def __init__(self, path: object, reason: str) -> None:
        self.path = without_secrets(str(path))
        super().__init__(f"{self.path}: {reason}")
        self.reason = reason

    @classmethod
    def of(cls, path: object, error: Exception) -> VideoDecodeError:
        """What is said of a file by whatever a decoder raised at it."""
        if isinstance(error, VideoDecodeError):
            return error
        if isinstance(error, MemoryError):
            return cls(path, "there is not enough memory to decode it.")
        if isinstance(error, OSError) and error.strerror:
            other = error.filename and str(error.filename) != str(path)
            where = f" ({error.filename})" if other else ""
            return cls(path, f"it cannot be read: {error.strerror}{where}.")
        return cls(path, f"{type(error).__name__}: {one_line(error)}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Both arguments travel, so that the error survives the way back from a worker process."""
        return type(self), (self.path, self.reason)


def check_known(names: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuses the first name that is not known.

    Raises:
        ConfigError: It gives the known name that it is like, or which there are.
    """
    known = list(known)
    for name in names:
        if name not in known:
            inner = [each for each in known if each.startswith(f"{name}.")]
            if inner:
                meant = " or ".join(inner) if len(inner) < 3 else nearest(name, inner)
                raise ConfigError(f"{where}: unknown {name}. Did you mean {meant}?")
            raise ConfigError(f"{where}: unknown {name}. {suggestion(name, known)}")
