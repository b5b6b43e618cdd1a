"""Measures what each stage of the model is worth.

It cross-validates the configuration, and again with each stage switched off, or on where it is off.
Where there is an answer at every frame, it compares temporal parts on validation recordings
instead. Every option after --config overrides a value of the preset.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.cli.executor import add_executor, executor_of
from pipeline.cli.parser import ConfigParser, run_config
from pipeline.evaluation.main_score import score_title
from pipeline.importing import import_tensorflow

_OTHERS = ("variant", "difference", "low", "high", "seconds")


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = ConfigParser(__doc__ or "", "ablate", "--data data/NAME")
    parser.add_argument("--out", default="", help="Folder to write; default: runs/NAME-ablation.")
    parser.add_argument("--overwrite", action="store_true", help="Replace what is there.")
    parser.add_argument(
        "--stages", default="", help="Names with commas between them; default: all."
    )
    add_executor(parser)
    parser.add_run_config(arguments)
    options = parser.parse(arguments)
    config = run_config(options)
    folder = Path(options.out or f"runs/{Path(config.data).name}-ablation")
    chosen = [name.strip() for name in options.stages.split(",") if name.strip()]

    import_tensorflow()
    from pipeline.experiments.ablation import ablate

    table = format_table(
        ablate(config, folder, chosen, overwrite=options.overwrite, executor=executor_of(options))
    )
    (folder / "ablation.md").write_text(f"{table}\n", encoding="utf-8")
    print(table)
    print(f"written: {folder / 'ablation.md'} and ablation.csv")


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows that `ablate` returns, as a table of Markdown."""
    scores = [key for key in rows[0] if key not in _OTHERS]
    titles = [*map(score_title, scores), "difference (95 % interval)", "seconds"]
    lines = [["variant", *titles], ["---"] * (len(titles) + 1)]
    for row in rows:
        values = [_number(row[key], ".1f" if key == "edit" else ".3f") for key in scores]
        lines.append([row["variant"], *values, _difference(row), f"{row['seconds']:.0f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _difference(row: dict[str, Any]) -> str:
    interval = f" ({row['low']:+.3f} to {row['high']:+.3f})" if row["low"] is not None else ""
    return f"{_number(row['difference'], '+.3f')}{interval}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
