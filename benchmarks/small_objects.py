"""How much looking at parts of a large picture helps.

    python -m benchmarks.small_objects --dataset uoft-cs/cifar10

Pastes test images, enlarged, at random places of a canvas of 256 x 256 pixels (plain, textured, or
a photograph of something else) and compares a classifier that looks at the whole only with one that
looks closer in doubt. Needs what benchmarks/out_of_scope.py needs. Writes "small_objects" in the
model's results.json.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import outliers
from benchmarks._common import DATASET, load, options, record, spread
from model.inference.classifier import Classifier, Prediction
from model.utils.errors import exit_on_error

CANVAS = 256
SIDES = (96, 128, 176)
GROUNDS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "plain": outliers.flat,
    "texture": outliers.texture,
    "photograph": outliers.photograph,
}


def main() -> None:
    """Measures, prints, writes."""
    count = (200, "of each case")
    args = options(__doc__, model=True, folder=False, dataset=DATASET, count=count)
    with exit_on_error():
        classifier, source = load(args)
        split = spread(source.splits["test"], args.count)
    pictures = [Image.fromarray(one) for one in split.images.permute(0, 2, 3, 1).numpy()]
    truth = [source.label_names[int(i)] for i in split.labels]
    rng = np.random.default_rng(0)
    cases = {f"{side} px on {name}": (side, name) for side in SIDES for name in GROUNDS}
    found = {}
    for case, (side, ground) in tqdm([*cases.items(), ("filling the canvas", (CANVAS, "plain"))]):
        images = [compose(one, side, GROUNDS[ground](rng), rng) for one in pictures]
        found[case] = both(classifier, images, truth)
    empty = [one(rng).resize((CANVAS, CANVAS)) for one in GROUNDS.values() for _ in truth]
    found["nothing but ground"] = both(classifier, empty, [""] * len(empty))
    for case, shares in found.items():
        print(f"{case:<24} {shares}")
    record(args, "small_objects", {"images": args.count, "canvas": CANVAS, "cases": found})


def compose(
    picture: Image.Image, side: int, ground: Image.Image, rng: np.random.Generator
) -> Image.Image:
    """A picture pasted into a canvas at a random place."""
    canvas = ground.resize((CANVAS, CANVAS))
    large = picture.resize((side, side), Image.Resampling.BICUBIC)
    left, top = (int(edge) for edge in rng.integers(0, CANVAS - side + 1, 2))
    canvas.paste(large, (left, top))
    return canvas


def both(
    classifier: Classifier, images: list[Image.Image], truth: list[str]
) -> dict[str, dict[str, float]]:
    """Shares of answers of each sort, without and with a closer look.

    "Right" counts the likeliest class whatever the verdict; "named" are answers that are not "none
    of the classes".
    """
    found = {}
    for name, closer in (("whole", False), ("closer", True)):
        classifier.look_closer = closer
        answers: list[Prediction] = classifier([*images])
        right = np.array([one.label == label for one, label in zip(answers, truth, strict=True)])
        named = np.array([one.verdict != "none" for one in answers])
        sure = np.array([one.verdict == "confident" for one in answers])
        shares = {
            "right": right,
            "named and right": named & right,
            "named and wrong": named & ~right,
            "sure and wrong": sure & ~right,
        }
        found[name] = {key: round(float(values.mean()), 4) for key, values in shares.items()}
    return found


if __name__ == "__main__":
    main()
