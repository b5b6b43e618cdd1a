"""Draws what training and evaluation see: a contact sheet for each class.

Look at it before you train. Every option after --config overrides a value of the preset.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.parser import ConfigParser, run_config
from pipeline.cli.script import positive
from pipeline.errors import ConfigError
from pipeline.importing import import_tensorflow
from pipeline.text import counted


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = ConfigParser(__doc__ or "", "preview", "data/NAME")
    parser.usage = "%(prog)s [DATA] [OPTIONS]"
    parser.add_argument(
        "path", nargs="?", metavar="DATA", default="", help="The data set; the same as --data."
    )
    parser.add_argument(
        "--out",
        default="",
        help="Folder to write; default: DATA/preview, or for a table preview-NAME here.",
    )
    parser.add_argument("--videos", type=positive, default=3, help="Videos of a class, at most.")
    named = bool(arguments) and not arguments[0].startswith("-")
    parser.add_run_config(["--data", *arguments] if named else arguments)
    options = parser.parse(arguments)
    config = run_config(options)
    if options.path and any(word.split("=")[0] == "--data" for word in arguments):
        raise ConfigError(f"expected one data set, got {options.path} and {config.data}")
    path = Path(options.path or config.data)

    import_tensorflow()
    from pipeline.dataset.preview import drawn, write_contact_sheets
    from pipeline.dataset.videos import resolve

    # Beside a table there are videos, and a folder among them would be taken for a class.
    default = path / "preview" if path.is_dir() else Path(f"preview-{path.stem}")
    folder = Path(options.out) if options.out else default
    model = drawn(config.model)
    data, config = resolve(dataclasses.replace(config, data=str(path), model=model))
    files = write_contact_sheets(data, config, folder, num_videos=options.videos)
    print(f"{counted(len(files), 'contact sheet')} in {folder}/")
