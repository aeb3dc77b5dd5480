"""A decoded picture, and the square crops of it that the network looks at.

A network that sees 32 x 32 pixels misses what is small in a photo. `benchmarks/small_objects.py`
measures how much looking at parts helps.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..utils.errors import ImageError
from ..utils.images import MAX_PIXELS, Pixels, read_image, to_square

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the original upright picture, never of a reduced one."""

LARGE = 3  # times the network's size: below, parts show nothing that the whole does not
OBLONG = 1.2  # longer to shorter side from which the ends get crops of their own
GRID = 3  # crops of half size, along each side


@dataclass(frozen=True)
class Picture:
    """An upright RGB picture, decoded once.

    Attributes:
        image: Its pixels, perhaps fewer than the original has.
        size: Width and height of the original.
    """

    image: Image.Image
    size: tuple[int, int]

    @classmethod
    def read(cls, source: Pixels, at_least: int, max_pixels: int = MAX_PIXELS) -> "Picture":
        """Decodes a picture; large files are reduced, but no side below `at_least` pixels.

        Raises:
            ImageError: See `utils.images.read_image`.
        """
        image = read_image(source, at_least=at_least, max_pixels=max_pixels)
        return cls(image, image.info.get("full_size", image.size))

    def reduced(self, at_least: int) -> "Picture":
        """The same with as few pixels as leave each side `at_least` long."""
        by = min(self.image.size) // at_least
        return Picture(self.image.reduce(by), self.size) if by > 1 else self

    def crop(self, box: Box, size: int) -> np.ndarray:
        """What the network sees of a square part, or of the whole: uint8 (size, size, 3).

        Raises:
            ImageError: If the box is neither a square inside of the picture nor the whole.
        """
        if box == (0, 0, *self.size):
            whole = self.image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
            return np.array(whole)
        return to_square(self.image.crop(self._inner(box)), size)

    def _inner(self, box: Box) -> Box:
        """The same square in pixels of `image`, at least one wide."""
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
        return _square(left, top, side)


def centre(width: int, height: int) -> Box:
    """The largest centred square."""
    side = min(width, height)
    return _square((width - side) // 2, (height - side) // 2, side)


def looks(width: int, height: int, size: int) -> list[Box]:
    """Ways to look at a picture as a whole, whose mean is its answer.

    Args:
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        size: Side in pixels that the network sees.

    Returns:
        The largest centred square; of a large picture also the middle 85 % of that, and the whole,
        which is squeezed into a square: what is known is named alike however it is framed.
    """
    square = centre(width, height)
    side = min(width, height)
    if side < LARGE * size:
        return [square]
    inset = side * 3 // 40
    inner = _square(square[0] + inset, square[1] + inset, side - 2 * inset)
    return [square, inner, (0, 0, width, height)]


def parts(width: int, height: int, size: int) -> list[Box]:
    """Squares to look at where the looks at the whole leave doubt.

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


def _square(left: int, top: int, side: int) -> Box:
    return left, top, left + side, top + side
