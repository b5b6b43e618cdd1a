"""Measures what each stage of the model is worth.

It cross-validates with the stage and without it, and compares the two. Where there is an answer at
every frame, it compares temporal parts on validation recordings instead. Every option after
--config overrides a value of the preset.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.cli.executor import add_executor, executor_of
from pipeline.cli.parser import ConfigParser, run_config
from pipeline.evaluation.main_score import score_title
from pipeline.importing import import_tensorflow


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
    lines = _of_variants(rows) if "variant" in rows[0] else _of_stages(rows)
    head, *others = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([head, f"|{' --- |' * len(lines[0])}", *others])


def _of_stages(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = [
        ("stage", "with it", "without it", "difference (95 % interval)", "seconds with, without")
    ]
    for row in rows:
        if "without" not in row:
            seconds = f"{row['seconds_with']:.0f}"
            lines.append((row["stage"], f"{row['with']:.3f}", "", "", seconds))
            continue
        interval = f" ({row['low']:+.3f} to {row['high']:+.3f})" if row["low"] is not None else ""
        lines.append(
            (
                row["stage"],
                *(f"{row[name]:.3f}" for name in ("with", "without")),
                f"{row['difference']:+.3f}{interval}",
                f"{row['seconds_with']:.0f}, {row['seconds_without']:.0f}",
            )
        )
    return lines


def _of_variants(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    signs = {"variant": "", "difference": "+.3f", "seconds": ".0f", "edit": ".1f"}
    titles = tuple(map(score_title, rows[0]))
    cells = (
        tuple("–" if each is None else format(each, signs.get(key, ".3f")) for key, each in of)
        for of in (row.items() for row in rows)
    )
    return [titles, *cells]
