"""Generated pictures: ten shapes, for trying everything out without any data; and noise."""

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image, IterableDataset
from PIL.Image import Resampling, fromarray

from .pixels import png

NAMES = (
    "disc", "ring", "square", "frame", "triangle",
    "cross", "stripes", "checkers", "star", "crescent",
)  # fmt: skip
SIZES = {"train": 4000, "test": 1000}
SIDE = 32


def synthetic() -> dict[str, IterableDataset]:
    """The dataset "synthetic": streams of encoded pictures, the same on every machine.

    A shape of random colour, size, place and rotation lies on a coloured, noisy background.

    Returns:
        "train" (4,000 pictures) and "test" (1,000), each with the columns image and label.
    """
    features = Features({"image": Image(), "label": ClassLabel(names=list(NAMES))})
    streams = {}
    for seed, (split, count) in enumerate(SIZES.items()):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.arange(count) % len(NAMES))
        pictures = [{"bytes": png(picture(label, rng)), "path": None} for label in labels]
        rows = Dataset.from_dict({"image": pictures, "label": labels.tolist()}, features=features)
        streams[split] = rows.to_iterable_dataset(num_shards=4)
    return streams


def picture(label: int, rng: np.random.Generator) -> np.ndarray:
    """Draws one picture.

    Args:
        label: Index into `NAMES`.
        rng: Source of chance.

    Returns:
        uint8 (32, 32, 3).
    """
    angle, scale = rng.uniform(-0.35, 0.35), rng.uniform(7.5, 12)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2 + rng.uniform(-4, 4, (2, 1, 1))
    turned = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
    mask = _inside(NAMES[label], turned[0] / scale, turned[1] / scale)  # (32, 32)
    front, back = rng.uniform(0, 255, (2, 3))
    while abs(front - back).max() < 70:  # a shape that nobody could see teaches nothing
        front, back = rng.uniform(0, 255, (2, 3))
    slope = (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1))[..., None]  # uneven light
    image = np.where(mask[..., None], front, back) + slope + rng.normal(0, 22, (SIDE, SIDE, 3))
    return image.clip(0, 255).astype(np.uint8)


def noise(count: int, size: int) -> np.ndarray:
    """Random colours or greys, in 4 to 32 squares or blotches a side: pictures of nothing.

    Args:
        count: Pictures, always the same ones.
        size: Side in pixels.

    Returns:
        uint8 (N, 3, size, size).
    """
    rng, drawn = np.random.default_rng(0), np.empty((count, size, size, 3), np.uint8)
    for i in range(count):
        side, channels = rng.choice([4, 8, 16, 32]), rng.choice([1, 3])
        low, high = np.sort(rng.uniform(0, 255, (2, channels)), axis=0)
        values = rng.uniform(low, high, (side, side, channels))
        small = fromarray(values.astype(np.uint8).repeat(3 // channels, axis=2))
        kind = (Resampling.NEAREST, Resampling.BICUBIC)[rng.integers(2)]
        drawn[i] = np.asarray(small.resize((size, size), kind))
    return drawn.transpose(0, 3, 1, 2)  # (N, 3, size, size)


def _inside(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points belong to a shape of radius 1 around the origin."""
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    largest = np.maximum(abs(x), abs(y))
    shapes = {
        "disc": lambda: radius < 0.9,
        "ring": lambda: (radius < 1) & (radius > 0.6),
        "square": lambda: largest < 0.8,
        "frame": lambda: (largest < 0.95) & (largest > 0.55),
        "triangle": lambda: (y < 0.7) & (y > 1.7 * abs(x) - 1),
        "cross": lambda: (np.minimum(abs(x), abs(y)) < 0.28) & (largest < 1),
        "stripes": lambda: (largest < 1) & (np.floor(x * 2.5) % 2 == 0),
        "checkers": lambda: (largest < 1) & ((np.floor(x * 2) + np.floor(y * 2)) % 2 == 0),
        "star": lambda: radius < 0.62 + 0.38 * np.cos(5 * angle),
        "crescent": lambda: (radius < 1) & (np.hypot(x - 0.45, y) > 0.75),
    }
    return shapes[name]()
