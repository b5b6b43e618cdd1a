"""Exports the model of a run; to LiteRT, as training does when it ends, or to another format."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.script import Parser, named_run, run_script
from pipeline.native_log import import_tensorflow


def main(arguments: Sequence[str]) -> None:
    parser = Parser(__doc__)
    parser.add_run()
    parser.add_argument(
        "--format",
        choices=("litert", "litert-float16", "litert-int8", "savedmodel", "onnx"),
        default="litert",
        help="All but litert go into RUN/export/FORMAT, a folder that classifies on its own.",
    )
    parser.add_argument("--data", default="", help="Where its data set is, if that was moved.")
    options = parser.parse(arguments)
    run = named_run(options)
    run.config()  # says at once if there is no run
    data = Path(options.data) if options.data else None

    with run.alone():
        import_tensorflow()
        from pipeline.evaluation.calibrate import calibrate
        from pipeline.inference.agreement import format_exported
        from pipeline.inference.export import export

        calibrate(run, data=data)
        print(format_exported(export(run, options.format, data=data)))


if __name__ == "__main__":
    run_script(main)
