"""The generated pictures: balanced, the same everywhere, neither trivial nor all alike."""

import numpy as np
import pytest
import torch

from model import data
from model.utils.synthetic import NAMES, picture


def test_synthetic_is_balanced_and_the_same_every_time() -> None:
    first, second = (data.open_dataset("synthetic") for _ in range(2))
    assert first.splits["train"].labels.bincount().tolist() == [400] * 10
    assert first.splits["test"].labels.bincount().tolist() == [100] * 10
    assert first.splits["train"].fingerprint == second.splits["train"].fingerprint
    assert first.splits["train"].fingerprint != first.splits["test"].fingerprint
    assert first.splits["test"].load(torch.arange(3)).images.shape == (3, 3, 32, 32)


@pytest.mark.parametrize("label", range(10))
def test_pictures_of_a_class_differ_and_show_something(label: int) -> None:
    rng = np.random.default_rng(1)
    pictures = [picture(label, rng) for _ in range(20)]
    assert len({x.tobytes() for x in pictures}) == 20
    for image in pictures:
        assert image.shape == (32, 32, 3)
        assert image.dtype == np.uint8
        # Noise alone deviates by 22; a shape whose colour is 70 or more away adds to it.
        assert image.astype(float).std((0, 1)).max() > 22


def test_the_mean_picture_of_a_class_does_not_give_it_away() -> None:
    """Comparing pixels with class means is near chance: a network has to look at shapes."""
    source = data.open_dataset("synthetic")
    train, test = source.splits["train"].load(), source.splits["test"].load()
    means = torch.stack(
        [train.images[train.labels == k].float().mean(0).flatten() for k in range(len(NAMES))]
    )
    nearest = torch.cdist(test.images.float().flatten(1), means).argmin(1)
    assert float((nearest == test.labels).float().mean()) < 0.3
    everything = {x.numpy().tobytes() for x in torch.cat([train.images, test.images])}
    assert len(everything) == 5000
