"""Changes of small pictures after which people still see the same thing."""

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks._corruptions import KINDS
from benchmarks._pixels import SIDE, grey, in_chunks, unit

EXTRAS = (
    "flip",
    "shift_1",
    "shift_2",
    "shift_4",
    "scale_0.7",
    "scale_0.85",
    "scale_1.2",
    "grey",
)


def change(images: np.ndarray, kind: str, seed: int = 0) -> np.ndarray:
    """Changes pictures in one of the ways of `EXTRAS`, after which people still see the same.

    "flip" is the mirror image; "shift_K" moves by K pixels, every picture up, down, left or right
    by chance; "scale_F" makes everything F times as large, around the middle; "grey" takes the
    colour. What comes in from outside is the picture, mirrored at its border.

    Args:
        images: uint8 (N, 32, 32, 3).
        kind: One of `EXTRAS`.
        seed: Of the random numbers.

    Returns:
        uint8 (N, 32, 32, 3).

    Raises:
        ValueError: If an argument is none of those.
    """
    if kind not in EXTRAS:
        raise ValueError(f"kind={kind!r} is unknown: choose from {', '.join(EXTRAS)}.")
    name, _, amount = kind.partition("_")

    def way(some: np.ndarray, rng: Generator) -> np.ndarray:
        if name == "flip":
            return some[:, :, ::-1]
        if name == "shift":
            return _shifted(some, int(amount), rng)
        if name == "scale":
            return np.stack([_scaled(one, float(amount)) for one in some])
        return np.repeat(grey(unit(some)) * 255 + 0.5, 3, axis=3)

    return in_chunks(images, way, (seed, len(KINDS), EXTRAS.index(kind)))


def _shifted(images: np.ndarray, by: int, rng: Generator) -> np.ndarray:
    padded = np.pad(images, ((0, 0), (by, by), (by, by), (0, 0)), "reflect")
    ways = np.array([[0, by], [2 * by, by], [by, 0], [by, 2 * by]])[
        rng.integers(0, 4, len(images))
    ]  # (n, 2)
    return np.stack(
        [
            one[top : top + SIDE, left : left + SIDE]
            for one, (top, left) in zip(padded, ways, strict=True)
        ]
    )


def _scaled(image: np.ndarray, factor: float) -> np.ndarray:
    """A picture (32, 32, 3) shrunk or enlarged around its middle."""
    side = round(SIDE * factor)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(image, (side, side), interpolation=how)
    if side >= SIDE:
        first = (side - SIDE) // 2
        return scaled[first : first + SIDE, first : first + SIDE]
    before = (SIDE - side) // 2
    after = SIDE - side - before
    return np.pad(scaled, ((before, after), (before, after), (0, 0)), "reflect")
