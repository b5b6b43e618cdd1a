"""Measures what each stage of the model is worth.

It cross-validates the configuration, and again with each stage switched off, or on where it is off.
Where there is an answer at every frame, it compares temporal parts on validation recordings
instead. Every option after --config overrides a value of the preset.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.executor import add_executor, executor_of
from pipeline.cli.parser import ConfigParser, run_config
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
    from pipeline.evaluation.views import as_text
    from pipeline.experiments.ablation import ablate

    overwrite, executor = options.overwrite, executor_of(options)
    rows = ablate(config, folder, chosen, overwrite=overwrite, executor=executor)
    table = as_text("variants.md", rows=rows)
    (folder / "ablation.md").write_text(f"{table}\n", encoding="utf-8")
    print(table)
    print(f"written: {folder / 'ablation.md'} and ablation.csv")
