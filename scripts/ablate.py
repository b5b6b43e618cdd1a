"""Measures what each stage is worth: cross-validation with it and without it."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.parser import ConfigParser, in_folds, run_config
from pipeline.cli.script import run_script
from pipeline.native_log import import_tensorflow


def main(arguments: Sequence[str]) -> None:
    parser = ConfigParser(__doc__)
    parser.add_argument("--out", default="", help="Folder; default: runs/NAME-ablation.")
    parser.add_argument("--overwrite", action="store_true", help="Replace what is there.")
    parser.add_argument("--stages", default="", help="Names, with commas; default: all.")
    parser.add_run_config(arguments)
    options = parser.parse(arguments)
    config = in_folds(run_config(parser, options))
    folder = Path(options.out or f"runs/{Path(config.data).name}-ablation")
    chosen = [name.strip() for name in options.stages.split(",") if name.strip()]

    import_tensorflow()
    from pipeline.experiments.ablation import ablate, format_table

    table = format_table(ablate(config, folder, chosen, overwrite=options.overwrite))
    (folder / "ablation.md").write_text(f"{table}\n", encoding="utf-8")
    print(table)
    print(f"written: {folder / 'ablation.md'} and ablation.csv")


if __name__ == "__main__":
    run_script(main)
