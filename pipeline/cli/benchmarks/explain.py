"""Whether what `clipline explain` shows is what the answer comes from, by hiding it."""

from collections.abc import Sequence

import numpy as np

from pipeline.cli.benchmarks.timeline import rows_of
from pipeline.cli.script import Parser, named_run, positive
from pipeline.frames.encoding import encode_video
from pipeline.inference.bundle import bundle_of
from pipeline.inference.clips import Images
from pipeline.inference.heat import HeatModel
from pipeline.inference.seen_video import clip_of, middle_clip
from pipeline.models.recognizer import float32_twin, load_recognizer

EXPLANATION = """\
The middle clip of each of the {number} test videos of the run. The hottest tenth of all places, on
the map of features and over all frames, then shows what it would if nothing moved: by how much does
the logit of the answer fall?

  logit lost  mean over the videos
  > random    in how many videos it falls more than for a random tenth (mean of {draws})
  > Grad-CAM  in how many it falls more than for Grad-CAM's tenth
"""
HIDDEN = 0.1


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and measures."""
    parser = Parser(
        "What `clipline explain` shows, hidden.", "benchmark explain", "--run runs/NAME"
    )
    parser.add_run()
    parser.add_argument("--data", default="", help="Where its data set is, if that was moved.")
    parser.add_argument("--draws", type=positive, default=10, help="Random tenths a video.")
    options = parser.parse(arguments)
    run = named_run(options)
    paths = [row.path for row in rows_of(run, options.data, "test")]
    print(EXPLANATION.format(number=len(paths), draws=options.draws))
    rng = np.random.default_rng(0)
    config, bundle = run.config(), bundle_of(run)
    model = load_recognizer(run.model_file, config, len(bundle.class_names))
    heat_model = HeatModel(float32_twin(model, config), config)
    lost = []
    for path in paths:
        stored, _ = encode_video(path, bundle.frames)
        clip = clip_of(stored, middle_clip(stored, bundle), bundle)
        lost.append(falls(heat_model, clip, options.draws, rng))
    ours, grad_cam, random = np.array(lost).T
    print(f"{'':14} {'logit lost':>10} {'> random':>10} {'> Grad-CAM':>10}")
    for name, values in (("explain", ours), ("Grad-CAM", grad_cam), ("random", random)):
        above = "".join(
            f"{np.sum(values > other):7d} of {len(paths):2d}" for other in (random, grad_cam)
        )
        print(f"{name:14} {values.mean():10.3f} {above}")


def falls(
    heat_model: HeatModel, clip: Images, draws: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """By how much the logit falls without the hottest tenth, Grad-CAM's, and a random one."""
    logits = heat_model.logits(clip)
    label = int(logits.argmax())

    def lost(scores: np.ndarray) -> float:
        hidden = np.zeros(scores.size, bool)
        hidden[np.argsort(-scores, axis=None, kind="stable")[: round(HIDDEN * scores.size)]] = True
        return float(logits[label] - heat_model.logits(clip, hidden.reshape(scores.shape))[label])

    heat = heat_model.heat(clip, label)
    random = np.mean([lost(rng.random(heat.shape)) for _ in range(draws)])
    return lost(heat), lost(heat_model.grad_cam(clip, label)), float(random)
