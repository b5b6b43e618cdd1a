"""Shows why a run answers as it does.

It draws where the network looks in each frame of a clip, or which parts of people's bodies it goes
by, and which frames the answer needs. Of fused runs, it explains each.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.script import Parser, named_run
from pipeline.errors import ConfigError
from pipeline.importing import import_tensorflow
from pipeline.text import visible


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = Parser(__doc__ or "", "explain", "NEW.mp4 --run runs/NAME")
    parser.add_argument("video", metavar="VIDEO", help="A video file.")
    parser.add_run()
    parser.add_argument("--label", default="", help="The class to explain; default: the answer.")
    parser.add_argument("--out", default="", help="Picture to write; default: VIDEO_why.png, here.")
    parser.add_argument("--annotate", default="", help="A video to write, under the same heat.")
    options = parser.parse(arguments)

    from pipeline.atomic import expect_output
    from pipeline.video import check_target

    run = named_run(options)
    out = Path(options.out or f"{Path(options.video).stem}_why.png")
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out: expected a name that ends in .png, got {out}")
    expect_output(out, "--out")
    if options.annotate:
        check_target(options.annotate, source=options.video)

    import_tensorflow()
    from pipeline.inference.explain import explain
    from pipeline.inference.explanation_files import draw_strip, write_heat_video

    explanation = explain(run, options.video, options.label)
    draw_strip(explanation, out)
    written = [visible(out)]
    if options.annotate:
        write_heat_video(explanation, Path(options.annotate))
        written.append(visible(options.annotate))
    answer = f"{visible(explanation.label)} {explanation.probability:.2f}"
    print(f"{visible(options.video)}: {answer} in its middle clip")
    for strip in explanation.strips:
        most = strip.seconds[strip.importance.argmax()]
        whose = f"{visible(strip.run)}: " if len(explanation.strips) > 1 else ""
        print(f"{whose}the frame that matters most is at {most:.1f} s")
    print(f"written: {', '.join(written)}")
