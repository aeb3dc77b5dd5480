"""A model as ONNX: one file that other runtimes execute, with its labels and preprocessing."""

import importlib.util
import json
import logging
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..utils import files
from ..utils.errors import ConfigError
from . import config
from .pretrained import load

INPUT, OUTPUT = "pixel_values", "logits"
ABOUT = (
    f"{INPUT}: RGB pixels from 0 to 1, float32 (N, 3, H, W), not normalised: the graph does that. "
    f"{OUTPUT}: float32 (N, classes). For calibrated probabilities, average the logits of "
    "a picture and its mirror image, divide by the metadata's temperature, then take the softmax."
)
NEEDED = ("onnx", "onnxscript")


def export_onnx(
    model: str | os.PathLike[str], path: str | os.PathLike[str], *, revision: str | None = None
) -> Path:
    """Writes a network as an ONNX file.

    Its doc string, `ABOUT`, says what goes in and what comes out. The metadata holds `label_names`,
    `input_size`, `input_range`, `interpolation`, `temperature` and `normalized_inside` (mean and
    std, for the record), each as JSON.

    Args:
        model: Folder of a trained model, or hub id.
        path: File to write, such as "model.onnx".
        revision: Branch, tag or commit on the hub.

    Returns:
        The path.

    Raises:
        ConfigError: If the model cannot be found or read, or a package is missing.
        WeightsError: If its weights are damaged.
        HubError: If the hub has no such model or cannot be reached.
    """
    path = Path(os.path.expanduser(path))
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"Writing ONNX needs {' and '.join(missing)}: pip install {' '.join(NEEDED)}"
        )
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(
            f"{path} cannot be written; name a file in a folder that exists, such as model.onnx."
        )
    network, settings = load(model, revision=revision)
    card = settings["pretrained_cfg"]
    whole = _Normalised(network, card["mean"], card["std"]).eval()
    with tempfile.TemporaryDirectory() as folder:
        unlabelled = Path(folder) / "model.onnx"
        _trace(whole, card["input_size"], unlabelled)
        files.write_bytes(path, _labelled(unlabelled, settings))
    return path


class _Normalised(nn.Module):
    """A network that takes pixels as they are."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))  # (1, C, 1, 1)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))  # (1, C, 1, 1)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.network((pixel_values - self.mean) / self.std)  # (N, num_classes)


def _trace(network: nn.Module, input_size: list[int], path: Path) -> None:
    example = torch.rand(2, *input_size)  # (2, C, H, W)
    batch = torch.export.Dim("batch", min=1)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own libraries
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: batch}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )


def _labelled(path: Path, settings: dict[str, Any]) -> bytes:
    import onnx

    content = onnx.load(path)
    onnx.checker.check_model(content)
    card = settings["pretrained_cfg"]
    metadata = {
        "input_size": card["input_size"],
        "input_range": [0, 1],
        "interpolation": card.get("interpolation", "bicubic"),
        # Not as bare mean and std, by which a reader would normalise a second time.
        "normalized_inside": {name: card[name] for name in ("mean", "std")},
        "label_names": settings.get("label_names"),
        "temperature": ((settings.get(config.KEY) or {}).get("doubt") or {}).get("temperature"),
    }
    content.graph.doc_string = content.doc_string = ABOUT
    for name, value in metadata.items():
        if value is not None:
            content.metadata_props.add(key=name, value=json.dumps(value))
    return content.SerializeToString()
