"""What a search may choose from: ranges and choices of settings, from a TOML file."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import expect
from pipeline.config.file import known_keys
from pipeline.errors import ConfigError, check_known

if TYPE_CHECKING:
    import optuna


def read_ranges(path: Path) -> dict[str, Any]:
    """Reads what may be chosen from, by dotted key, from a TOML file.

    Raises:
        ConfigError: It cannot be read, or names a setting that there is not, or no range.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"--search: {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from None
    known = known_keys()
    ranges = _ranges(tree, "")
    check_known(ranges, known, str(path))
    for key in ranges:
        # Whatever else is searched, these would change what the score is measured on.
        fixed = key.split(".")[0] in ("data", "frames", "split") or key == "model.task"
        expect(not fixed, f"{path}: {key} cannot be searched", ranges[key])
    expect(bool(ranges), f"{path} must give a range of at least one setting", tree)
    for key, choices in ranges.items():
        expect(
            _is_range(choices),
            f"{path}: {key} must be a list of choices, or {{low = ..., high = ..., log = true}} "
            "with low below high, and above 0 for log; none of them NaN or infinite",
            choices,
        )
    return ranges


def _ranges(tree: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """By dotted key; the table of a range is no part of the configuration."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and not {"low", "high"} & {*value}:
            flat |= _ranges(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _is_range(choices: Any) -> bool:
    if isinstance(choices, list):
        return bool(choices) and not any(value != value for value in choices)  # NaN
    if not isinstance(choices, dict) or not {"low", "high"} <= {*choices} <= {"low", "high", "log"}:
        return False
    low, high = choices["low"], choices["high"]
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in (low, high))
    return numbers and -math.inf < low < high < math.inf and (low > 0 or not choices.get("log"))


def suggest(trial: optuna.Trial, key: str, choices: Any) -> Any:
    """The value that a trial draws for a key; of a list of choices, its number."""
    if isinstance(choices, list):  # A choice may be a list itself, which the storage cannot hold.
        return trial.suggest_categorical(key, range(len(choices)))
    low, high, log = choices["low"], choices["high"], bool(choices.get("log"))
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=log)
    return trial.suggest_float(key, low, high, log=log)
