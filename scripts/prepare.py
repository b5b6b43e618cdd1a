"""Turns labelled videos into a prepared data set; without arguments, the demo videos.

Your own: python scripts/prepare.py --source folder --path VIDEOS --out data/NAME
"""

from collections.abc import Sequence

from pipeline.cli import Parser, run_script
from pipeline.config import PrepareConfig


def main(arguments: Sequence[str]) -> None:
    parser = Parser(__doc__)
    parser.add_fields(PrepareConfig)
    config = PrepareConfig(**vars(parser.parse(arguments)))

    from pipeline.data.prepare import prepare

    print(prepare(config))


if __name__ == "__main__":
    run_script(main)
