"""Results of fused runs, as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.cli.scores import interval_text
from pipeline.evaluation.main_score import MainScore, main_score
from pipeline.evaluation.metrics import CAUTION
from pipeline.text import counted


def format_fusion(result: Mapping[str, Any], split: str) -> str:
    """What `pipeline.evaluation.fusing.compare` gives, as text for a terminal."""
    videos, groups = counted(result["num_videos"], "video"), counted(result["num_groups"], "group")
    head = f"{split}: {videos} of {groups}"
    return "\n".join([head, *CAUTION.get(split, []), *fusion_lines(result)])


def fusion_lines(result: Mapping[str, Any]) -> list[str]:
    """The main score of each run and of all together, a line each; of a single run, its own."""
    main, is_one = main_score(result["task"]), len(result["runs"]) == 1
    rows = result["runs"] if is_one else {**result["runs"], f"fused ({result['rule']})": result}
    width = max(map(len, rows))
    lines = [f"{name:{width}}  {_score(scores, main)}" for name, scores in rows.items()]
    if is_one:
        return lines
    if "gained" in result:
        lines.append(
            f"beside the best run alone: {counted(result['gained'], 'video')} gained, "
            f"{result['lost']} lost"
        )
    return lines


def _score(scores: Mapping[str, Any], main: MainScore) -> str:
    text = main.text(main.of(scores))
    interval = scores[main.level].get(f"{main.name}_interval95")
    return f"{text} ({interval_text(interval)})" if interval else text
