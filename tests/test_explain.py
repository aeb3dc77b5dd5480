"""Attribution maps find evidence that is put where we know it."""

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


def test_evidence_is_found_where_it_is() -> None:
    torch.manual_seed(1)
    pixels = torch.rand(2, 3, SIZE, SIZE) + 0.5
    heat = explain.attribution(Spotter(), pixels, torch.tensor([1, 1]))
    assert heat.shape == (2, SIZE, SIZE)
    assert heat.dtype == torch.float32
    inside = heat[:, *SPOT].mean(dim=(1, 2))
    outside = heat.clone()
    outside[:, *SPOT] = 0
    assert (inside > 5 * outside.abs().mean(dim=(1, 2))).all()


def test_pictures_are_explained_one_by_one_as_together_and_in_inference_mode_too() -> None:
    """Pictures and classes often come from there; parameters are left without gradients."""
    network = Spotter()
    with torch.inference_mode():
        pixels, classes = torch.rand(3, 3, SIZE, SIZE), torch.tensor([1, 0, 1])
        together = explain.attribution(network, pixels, classes)
    for i in range(3):
        alone = explain.attribution(network, pixels[i : i + 1], classes[i : i + 1])
        torch.testing.assert_close(alone[0], together[i])
    assert all(one.grad is None for one in network.parameters())


def test_the_mirror_image_counts_as_much() -> None:
    """A method that marks one corner: the map shows it, and its mirror image half as much."""

    def corner(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
        maps = torch.zeros(len(pixels), SIZE, SIZE)
        maps[: len(pixels) // 2, 0, 0] = 2.0  # of the picture; the other half are mirror images
        maps[len(pixels) // 2 :, 0, 0] = 1.0
        return maps

    pixels = torch.rand(1, 3, SIZE, SIZE)
    heat = explain.attribution(Spotter(), pixels, torch.tensor([1]), corner)[0]  # (S, S)
    assert (heat[0, 0], heat[0, -1], heat.sum()) == (1.0, 0.5, 1.5)
