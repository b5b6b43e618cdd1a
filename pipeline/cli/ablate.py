"""Measures what each stage of the model is worth.

It cross-validates with the stage and without it, and compares the two. Every option after --config
overrides a value of the preset.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.cli.parser import ConfigParser, in_folds, run_config
from pipeline.native_log import import_tensorflow


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = ConfigParser(__doc__ or "", "ablate", "--data data/NAME")
    parser.add_argument("--out", default="", help="Folder to write; default: runs/NAME-ablation.")
    parser.add_argument("--overwrite", action="store_true", help="Replace what is there.")
    parser.add_argument(
        "--stages", default="", help="Names with commas between them; default: all."
    )
    parser.add_run_config(arguments)
    options = parser.parse(arguments)
    config = in_folds(run_config(options))
    folder = Path(options.out or f"runs/{Path(config.data).name}-ablation")
    chosen = [name.strip() for name in options.stages.split(",") if name.strip()]

    import_tensorflow()
    from pipeline.experiments.ablation import ablate

    table = format_table(ablate(config, folder, chosen, overwrite=options.overwrite))
    (folder / "ablation.md").write_text(f"{table}\n", encoding="utf-8")
    print(table)
    print(f"written: {folder / 'ablation.md'} and ablation.csv")


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows that `ablate` returns, as a table of Markdown."""
    lines = [
        "| stage | with it | without it | difference (95 % interval) | seconds with, without |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        if "without" not in row:
            lines.append(f"| {row['stage']} | {row['with']:.3f} | | | {row['seconds_with']:.0f} |")
            continue
        interval = f" ({row['low']:+.3f} to {row['high']:+.3f})" if row["low"] is not None else ""
        lines.append(
            f"| {row['stage']} | {row['with']:.3f} | {row['without']:.3f} | "
            f"{row['difference']:+.3f}{interval} | "
            f"{row['seconds_with']:.0f}, {row['seconds_without']:.0f} |"
        )
    return "\n".join(lines)
