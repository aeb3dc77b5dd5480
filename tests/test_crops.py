"""Which parts of a picture are looked at."""

import numpy as np

from model.inference import crops
from model.inference.crops import Picture


def test_parts_are_squares_inside_that_cover_the_picture() -> None:
    assert crops.parts(95, 400, 32) == crops.parts(1, 1, 32) == []  # too small
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


def test_a_large_picture_is_looked_at_in_three_ways_the_last_of_which_squeezes_it() -> None:
    assert crops.looks(95, 400, 32) == [(0, 152, 95, 247)]
    assert crops.looks(320, 160, 32) == [(80, 0, 240, 160), (92, 12, 228, 148), (0, 0, 320, 160)]
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, 100:] = 200
    picture = Picture.read(pixels, 1)
    seen = picture.crop((0, 0, 200, 100), 10)  # (10, 10, 3)
    assert (seen[:, :4] < 5).all()
    assert (seen[:, 6:] > 195).all()
