"""Attribution maps find evidence that is put where we know it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.inference import explain

SIZE = 32
SPOT = (slice(4, 12), slice(12, 20))  # rows, columns; its own mirror image


class Spotter(nn.Module):
    """Class 1 is as likely as one corner is bright; nothing else matters."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Conv2d(3, 1, 1, bias=False))
        nn.init.ones_(self.stages[0].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        bright = self.stages(x)[:, 0, *SPOT].relu().mean(dim=(1, 2))  # (N,)
        return torch.stack((torch.zeros_like(bright), bright), dim=1)  # (N, 2)


@pytest.mark.parametrize("method", list(explain.METHODS))
def test_evidence_is_found_where_it_is(method: str) -> None:
    torch.manual_seed(1)
    pixels = torch.rand(2, 3, SIZE, SIZE) + 0.5
    heat = explain.attribution(Spotter(), pixels, torch.tensor([1, 1]), method)
    assert heat.shape == (2, SIZE, SIZE)
    assert heat.dtype == torch.float32
    inside = heat[:, *SPOT].mean(dim=(1, 2))
    outside = heat.clone()
    outside[:, *SPOT] = 0
    if method != "Grad-CAM":  # weighs whole channels: this network has just one
        assert (inside > 5 * outside.abs().mean(dim=(1, 2))).all()
    assert (inside > 0).all()


def test_occlusion_of_one_patch_by_hand() -> None:
    """Windows of 8 pixels, 3 apart, take 3 times their share of the spot of 8 x 8.

    Over row 8 lie the windows that begin in rows 3 and 6, which cover 7 and 6 rows of the spot
    (4 to 11); those over column 16 begin in columns 9, 12 and 15 and cover 5, 8 and 5 of its
    columns (12 to 19). captum averages over all windows that lie over a pixel.
    """
    pixels = torch.ones(1, 3, SIZE, SIZE)
    heat = explain.attribution(Spotter(), pixels, torch.tensor([1]), "occlusion")
    assert heat[0, 31, 0] == 0
    rows = np.mean([max(0, min(12, r + 8) - max(4, r)) for r in range(0, 25, 3) if r <= 8 < r + 8])
    columns = [
        np.mean([max(0, min(20, c + 8) - max(12, c)) for c in range(0, 25, 3) if c <= at < c + 8])
        for at in (16, SIZE - 1 - 16)  # in the picture and in its mirror image
    ]
    assert heat[0, 8, 16] == pytest.approx(3 * rows * np.mean(columns) / 64, abs=1e-5)


def test_pictures_are_explained_one_by_one_as_together() -> None:
    pixels = torch.rand(3, 3, SIZE, SIZE)
    classes = torch.tensor([1, 0, 1])
    together = explain.attribution(Spotter(), pixels, classes)
    for i in range(3):
        alone = explain.attribution(Spotter(), pixels[i : i + 1], classes[i : i + 1])
        torch.testing.assert_close(alone[0], together[i])


def test_unknown_method() -> None:
    with pytest.raises(ValueError, match="occlusion"):
        explain.attribution(Spotter(), torch.zeros(1, 3, 8, 8), torch.tensor([0]), "magic")


@pytest.mark.parametrize("method", list(explain.METHODS))
def test_what_was_made_in_inference_mode_can_be_explained(method: str) -> None:
    """Pictures and classes often come from there; parameters are left without gradients."""
    network = Spotter()
    with torch.inference_mode():
        pixels, classes = torch.rand(1, 3, SIZE, SIZE), torch.tensor([1])
        inside = explain.attribution(network, pixels, classes, method)
    torch.testing.assert_close(inside, explain.attribution(network, pixels, classes, method))
    assert all(one.grad is None for one in network.parameters())


def test_the_mirror_image_counts_as_much() -> None:
    """Occlusion of a corner that the network sees shows in both: it answers by both pictures."""

    class Corner(Spotter):
        def forward(self, x: Tensor) -> Tensor:
            bright = self.stages(x)[:, 0, :8, :8].mean(dim=(1, 2))  # (N,)
            return torch.stack((torch.zeros_like(bright), bright), dim=1)  # (N, 2)

    pixels = torch.ones(1, 3, SIZE, SIZE)
    pixels[..., SIZE // 2 :] = 0.5  # the right half speaks half as much
    heat = explain.attribution(Corner(), pixels, torch.tensor([1]), "occlusion")[0]  # (S, S)
    assert heat[4, 4] == pytest.approx(2 * heat[4, SIZE - 5].item(), rel=0.2)
    assert heat[20, 16] == 0
