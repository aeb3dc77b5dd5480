"""Which parts of a picture are looked at."""

import numpy as np
import pytest
from PIL import Image

from model.inference import crops
from model.inference.crops import Picture


@pytest.mark.parametrize(
    ("size", "box"),
    [((50, 50), (0, 0, 50, 50)), ((100, 40), (30, 0, 70, 40)), ((1, 3), (0, 1, 1, 2))],
)
def test_centre(size: tuple[int, int], box: crops.Box) -> None:
    assert crops.centre(*size) == box


def test_small_pictures_have_no_parts() -> None:
    assert crops.parts(95, 400, 32) == []
    assert crops.parts(1, 1, 32) == []


def test_parts_are_squares_inside_that_cover_the_picture() -> None:
    for width, height in ((96, 96), (400, 300), (150, 500)):
        covered = np.zeros((height, width), bool)
        for left, top, right, bottom in crops.parts(width, height, 32):
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
            assert right - left == bottom - top >= 48
            covered[top:bottom, left:right] = True
        if max(width, height) < 2 * min(width, height):
            assert covered.all()


def test_oblong_pictures_have_their_ends() -> None:
    found = crops.parts(400, 300, 32)
    assert (0, 0, 300, 300) in found
    assert (100, 0, 400, 300) in found
    assert (0, 0, 300, 300) not in crops.parts(320, 300, 32)


def test_a_crop_scales_a_part() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[32:, 32:] = (10, 20, 30)
    picture = Picture(Image.fromarray(pixels), (64, 64))
    found = picture.crop((32, 32, 64, 64), 16)
    assert found.shape == (16, 16, 3)
    assert (found == (10, 20, 30)).all()
    assert (picture.crop((0, 0, 64, 64), 64) == pixels).all()


def test_a_large_picture_is_looked_at_as_a_whole_in_three_ways() -> None:
    assert crops.looks(95, 400, 32) == [(0, 152, 95, 247)]
    assert crops.looks(320, 160, 32) == [(80, 0, 240, 160), (92, 12, 228, 148), (0, 0, 320, 160)]


def test_the_whole_is_squeezed() -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, 100:] = 200
    picture = Picture.read(pixels, 1)
    seen = picture.crop((0, 0, 200, 100), 10)  # (10, 10, 3)
    assert (seen[:, :4] < 5).all()
    assert (seen[:, 6:] > 195).all()
