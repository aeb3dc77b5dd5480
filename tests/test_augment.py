"""Augmentations on small pictures whose result is known."""

import pytest
import torch
from torch import Tensor

from model import augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(size: int = 4) -> Tensor:
    """One picture whose pixels all differ, uint8 (1, 3, size, size)."""
    return torch.arange(3 * size * size, dtype=torch.uint8).view(1, 3, size, size)


def test_flip_shows_both_views_in_two_epochs_and_mixes_within_one() -> None:
    images = picture().expand(400, -1, -1, -1)
    indices = torch.arange(400)
    first = augment.flip_alternating(images, indices, 0, seed=3)
    second = augment.flip_alternating(images, indices, 1, seed=3)
    third = augment.flip_alternating(images, indices, 2, seed=3)
    mirrored = torch.tensor([bool((x == images[0].flip(-1)).all()) for x in first])
    assert torch.equal(first, third)
    assert torch.equal(second, torch.where(mirrored[:, None, None, None], images, images.flip(-1)))
    assert 140 < int(mirrored.sum()) < 260
    order = torch.randperm(400, generator=generator())  # it belongs to a picture, not to its place
    assert torch.equal(augment.flip_alternating(images, order, 0, seed=3), first[order])


def test_translate_gives_exactly_the_shifts_of_a_reflected_picture() -> None:
    image = picture(6)
    padded = torch.nn.functional.pad(image.float(), (2, 2, 2, 2), mode="reflect").byte()
    allowed = {
        padded[0, :, y : y + 6, x : x + 6].numpy().tobytes() for y in range(5) for x in range(5)
    }
    moved = augment.translate(image.expand(800, -1, -1, -1), 2, generator())
    seen = {x.contiguous().numpy().tobytes() for x in moved}
    assert seen == allowed
    assert moved.dtype == torch.uint8


def test_cutout_blanks_one_square_of_the_size_asked_for() -> None:
    images = torch.ones(200, 3, 8, 8)
    cut = augment.cutout(images, 3, generator())
    holes = cut == 0
    assert (holes.sum((1, 2, 3)) == 3 * 9).all()
    assert torch.equal(holes[:, 0], holes[:, 2])
    rows, columns = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert (rows == 3).all()
    assert (columns == 3).all()
    assert holes.any(0)[0].all(), "every pixel can be blanked"


def test_resize_averages() -> None:
    images = torch.zeros(1, 1, 4, 4)
    images[..., :2] = 1.0
    small = augment.resize(images, 2)
    assert small.shape == (1, 1, 2, 2)
    assert small[0, 0, 0, 0] > 0.8
    assert torch.allclose(small.mean(), torch.tensor(0.5))
    assert augment.resize(images, 4) is images


def test_a_jigsaw_has_the_same_pixels_in_whole_pieces_elsewhere() -> None:
    size = 20  # in 8 x 8 pieces, of 2 pixels, a margin of 4 is left
    images = torch.arange(size * size).view(1, 1, size, size).expand(30, 3, -1, -1)
    shuffled = augment.jigsaw(images, torch.Generator().manual_seed(0))
    assert shuffled.shape == images.shape
    assert torch.equal(shuffled.flatten(2).sort().values, images.flatten(2))  # each pixel once
    for i, n in ((0, 2), (10, 4), (20, 8)):  # the first of each third
        side, inside = size // n, size // n * n
        piece = shuffled[i, 0, :side, :side]
        row, column = divmod(int(piece[0, 0]), size)
        assert row % side == column % side == 0
        assert torch.equal(piece, images[i, 0, row : row + side, column : column + side])
        assert torch.equal(shuffled[i, :, inside:], images[i, :, inside:])
        assert torch.equal(shuffled[i, :, :, inside:], images[i, :, :, inside:])
        assert not torch.equal(shuffled[i], images[i])
    assert not torch.equal(shuffled[1], shuffled[2])
    assert augment.jigsaw(images[:1], torch.Generator()).shape == (1, 3, size, size)


def test_cutmix_gives_as_much_of_the_other_target_as_of_the_other_picture() -> None:
    n, size = 400, 16
    images = torch.arange(n, dtype=torch.float32)[:, None, None, None].expand(n, 3, size, size)
    targets = torch.eye(n)  # every picture is a class of its own
    mixed, told = augment.cutmix(images, targets, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(mixed[200:], images[200:])
    assert torch.equal(told[200:], targets[200:])
    shares = []
    for i in range(200):
        other = mixed[i, 0] == i + 200  # (S, S)
        assert (other | (mixed[i, 0] == i)).all()
        assert torch.equal(mixed[i, 0], mixed[i, 2])
        rows, columns = other.any(1), other.any(0)
        assert torch.equal(other, rows[:, None] & columns)  # a rectangle, without holes
        assert told[i, i + 200] == pytest.approx(other.float().mean())
        assert told[i].sum() == pytest.approx(1)
        shares.append(float(told[i, i + 200]))
    # A square of area u, u uniform in [0, 1], lies at x and y with its centre anywhere: along one
    # side, sqrt(u) - u / 4 of it is inside on average, so u - u ** 1.5 / 2 + u ** 2 / 16 over both.
    assert sum(shares) / 200 == pytest.approx(1 / 2 - 1 / 5 + 1 / 48, abs=0.04)
    assert len(set(shares)) > 50
    _, told = augment.cutmix(images, targets, 1.0, torch.Generator().manual_seed(0))
    assert (told.diagonal() < 1).float().mean() > 0.9  # all of them, each with another one
