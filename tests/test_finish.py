"""The end of a run without validation images: nothing is claimed that was not measured."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from model.data import LabelledImages
from model.evaluation import finish


@pytest.mark.parametrize("images", [None, 0])
def test_no_validation_images_leave_doubt_unfitted(images: int | None) -> None:
    network: Any = torch.nn.Identity()
    held_back = images if images is None else LabelledImages(
        torch.zeros(images, 3, 32, 32, dtype=torch.uint8),
        torch.zeros(images, dtype=torch.int64),
        torch.arange(images),
    )  # fmt: skip
    data: Any = SimpleNamespace(validation=held_back)
    assert finish.fit_calibration(network, data) is None
