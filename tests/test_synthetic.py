"""The generated pictures: balanced, the same everywhere, neither trivial nor all alike."""

import torch

from model.data import open_dataset
from model.utils.synthetic import NAMES


def test_the_mean_picture_of_a_class_does_not_give_it_away() -> None:
    """Comparing pixels with class means is near chance: a network has to look at shapes."""
    splits = open_dataset("synthetic").splits
    assert splits["train"].fingerprint == (
        "5bf419965c2e009a38761f080072533f0c1ad601a90bd1737fa57e3231c9c2b2"
    )
    train, test = splits["train"].load(), splits["test"].load()
    assert train.labels.bincount().tolist() == [400] * len(NAMES)
    assert test.labels.bincount().tolist() == [100] * len(NAMES)
    means = torch.stack(
        [train.images[train.labels == k].float().mean(0).flatten() for k in range(len(NAMES))]
    )
    nearest = torch.cdist(test.images.float().flatten(1), means).argmin(1)
    assert float((nearest == test.labels).float().mean()) < 0.3
    assert len({x.numpy().tobytes() for x in torch.cat([train.images, test.images])}) == 5000
