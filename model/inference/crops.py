"""Parts of a large photo that are worth a look of their own.

A network that sees 32 x 32 pixels misses what is small in a photo. `benchmarks/small_objects.py`
measures how much looking at parts helps.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..utils.errors import ImageError
from ..utils.images import to_square

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""

LARGE = 3  # times the network's size: below, parts show nothing that the whole does not
OBLONG = 1.2  # longer to shorter side from which the ends get views of their own
GRID = 3  # views of half size, along each side


@dataclass(frozen=True)
class Opened:
    """An upright RGB picture, perhaps reduced, and its width and height before that."""

    image: Image.Image
    size: tuple[int, int]

    def inner(self, box: Box) -> Box:
        """A square of the full picture in pixels of the reduced one, at least one wide.

        Raises:
            ImageError: If it is no square inside of the picture.
        """
        (width, height), (small_width, small_height) = self.size, self.image.size
        left, top, right, bottom = box
        if not (0 <= left < right <= width and 0 <= top < bottom <= height) or (
            right - left != bottom - top
        ):
            raise ImageError(
                f"box={box} is no square inside of the picture of {width} x {height} pixels; take "
                "the box of a prediction for the same picture."
            )
        side = max(1, round((right - left) * small_width / width))
        side = min(side, small_width, small_height)  # reduced sides were rounded
        left = min(round(left * small_width / width), small_width - side)
        top = min(round(top * small_height / height), small_height - side)
        return left, top, left + side, top + side


def centre(width: int, height: int) -> Box:
    """The largest centred square."""
    side = min(width, height)
    return _square((width - side) // 2, (height - side) // 2, side)


def parts(width: int, height: int, size: int) -> list[Box]:
    """Squares to look at beside the largest centred one.

    Args:
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        size: Side in pixels that the network sees.

    Returns:
        Both ends of an oblong picture, then squares of half the size; none of a small picture.
    """
    side = min(width, height)
    if side < LARGE * size:
        return []
    found = []
    if max(width, height) > OBLONG * side:
        found += [_square(0, 0, side), _square(width - side, height - side, side)]
    half = side // 2
    for top in np.linspace(0, height - half, GRID).astype(int).tolist():
        for left in np.linspace(0, width - half, GRID).astype(int).tolist():
            found.append(_square(left, top, half))
    return found


def cut(image: Image.Image, box: Box, size: int) -> np.ndarray:
    """What the network sees of a part of an RGB picture: uint8 (size, size, 3)."""
    whole = box == (0, 0, *image.size)
    return to_square(image if whole else image.crop(box), size)


def _square(left: int, top: int, side: int) -> Box:
    return left, top, left + side, top + side
