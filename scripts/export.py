"""Exports the model of a run to LiteRT, as training does when it ends."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli import Parser, import_tensorflow, named_run, run_script


def main(arguments: Sequence[str]) -> None:
    parser = Parser(__doc__)
    parser.add_run()
    parser.add_argument("--data", default="", help="Where its data set is, if that was moved.")
    options = parser.parse(arguments)
    run = named_run(options)
    run.config()  # says at once if there is no run

    import_tensorflow()
    from pipeline.inference.export import export_litert

    difference = export_litert(run, data=Path(options.data) if options.data else None)
    print(f"exported {run.litert_file}; its logits differ from Keras by at most {difference:.1e}")


if __name__ == "__main__":
    run_script(main)
