"""A tiny trained-looking model for tests, and ways to damage its files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

NAMES = ["ant", "bee", "cat", "dog", "elk"]
MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
SIZE = 40
Change = Callable[[dict[str, Any]], Any]


def make_network(architecture: str = "cifarnet_nano", **args: Any) -> Any:
    """A network whose weights and statistics are unlike those it starts with."""
    torch.manual_seed(0)
    if architecture == "cifarnet_nano":
        args = {"widths": (8, 12, 16), "depths": (1, 2, 3), **args}
    network: Any = timm.create_model(architecture, **{"num_classes": len(NAMES), **args})
    network.pretrained_cfg |= dict(mean=MEAN, std=STD, input_size=(3, SIZE, SIZE))
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand_like(value) * 0.1)
    return network.eval()


def logits_of(network: Any) -> Tensor:
    """Answers to four fixed images: (4, C)."""
    images = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return network(images)


def put(*keys: Any) -> Change:
    """A change that sets content[key][key]... to the last argument."""
    *path, last, value = keys

    def change(content: dict[str, Any]) -> None:
        for key in path:
            content = content[key]
        content[last] = value

    return change


def change_config(folder: Path, change: Change) -> None:
    """Applies a change to the content of config.json."""
    content = json.loads((folder / "config.json").read_text())
    change(content)
    (folder / "config.json").write_text(json.dumps(content))


def change_weights(folder: Path, change: Change) -> None:
    """Applies a change to the tensors of model.safetensors."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
