"""Fuses trained runs into one folder, which classifies by all of them.

Networks that see different things make different mistakes. Each is trained by itself; their answers
are averaged. The folder is a copy that classifies by itself; evaluating and explaining it take the
runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.script import Parser
from pipeline.errors import ConfigError
from pipeline.importing import import_tensorflow
from pipeline.text import command

if TYPE_CHECKING:
    from pipeline.run import Run


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = Parser(__doc__ or "", "fuse", "runs/ONE runs/OTHER --out runs/NAME")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="Folders of trained runs.")
    parser.add_argument("--out", type=Path, required=True, help="The folder to write.")
    add_fusion(parser)
    parser.add_argument(
        "--crossval",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="A cross-validation for each run, of the same settings. Probabilities are then "
        "calibrated on what its models say of videos that they never saw; default: on the "
        "validation videos of the runs.",
    )
    parser.add_argument("--overwrite", action="store_true", help="Replace fused runs in --out.")
    options = parser.parse(arguments)

    from pipeline.run import Run

    runs, out = [Run(Path(folder)) for folder in options.runs], Run(options.out)
    _check(runs, out, options)
    import_tensorflow()
    from pipeline.evaluation.views import as_text
    from pipeline.inference.fuse import fuse

    with out.alone():
        result = fuse(
            runs,
            out,
            rule=options.rule or "average",
            crossvals=options.crossval or (),
        )
    if result:
        where = "out of fold" if options.crossval else "on the validation videos"
        print(f"{where}:", as_text("fused_scores.txt", result=result), sep="\n")
    else:
        print("no validation videos: probabilities are not calibrated")
    print(f"written: {out.folder}")
    print(f"next: {command('evaluate', out.folder)}")


def add_fusion(parser: Parser) -> None:
    """Adds the options that say how the answers of runs become one."""
    parser.add_argument(
        "--rule",
        choices=("average", "product"),
        help="The mean of the probabilities of the runs, or their product; default: average.",
    )


def _check(runs: Sequence[Run], out: Run, options: Any) -> None:
    if len(runs) < 2:
        raise ConfigError("expected two runs or more, got one")
    if options.crossval and len(options.crossval) != len(runs):
        raise ConfigError(
            f"--crossval: expected a folder for each of {len(runs)} runs, got "
            f"{len(options.crossval)}"
        )
    if out.folder.exists() and any(out.folder.iterdir()):
        if not out.fusion_file.is_file():
            raise ConfigError(f"--out: {out.folder} holds something else. Name another folder")
        if not options.overwrite:
            raise ConfigError(f"--out: {out.folder} is there already. Replace it by --overwrite")
