"""A run's checkpoint: one safetensors file that is there whole or not at all."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .utils import files
from .utils.errors import TrainingError

NAME = "checkpoint.safetensors"
VERSION = 2


def save_checkpoint(directory: Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Replaces the run's checkpoint in one step.

    Args:
        directory: The run's.
        tensors: Contiguous, on the CPU.
        values: Everything else, as JSON's types.

    Raises:
        OSError: If it cannot be written; the earlier checkpoint is untouched.
    """
    text = json.dumps(values | {"checkpoint_version": VERSION})
    metadata = {"cifarnet": text, "sha256": _digest(text, tensors)}
    files.write_bytes(directory / NAME, save(tensors, metadata))


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    """Hash of all that a checkpoint holds, in hexadecimal digits: safetensors has none."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def load_checkpoint(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_checkpoint` wrote.

    Raises:
        TrainingError: If there is none, or it is damaged or from a newer version.
    """
    path = directory / NAME
    if not path.is_file():
        raise TrainingError(
            f"{directory} holds no {NAME}; name the folder of an unfinished run, such as runs/NAME."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            values = json.loads(metadata["cifarnet"])
            version = values["checkpoint_version"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{path} is damaged or was not written by train.py ({error}); start the run again."
        ) from None
    if version != VERSION:
        raise TrainingError(
            f"{path} has version {version}, this code reads {VERSION}; "
            "resume with the version of cifarnet that wrote it."
        )
    if metadata.get("sha256") != _digest(metadata["cifarnet"], tensors):
        raise TrainingError(
            f"{path} is damaged: its content is not what was written; start the run again."
        )
    return tensors, values
