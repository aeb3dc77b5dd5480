"""A run's checkpoint: one safetensors file that is there whole or not at all."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from model import files
from model.errors import TrainingError

NAME = "checkpoint.safetensors"
VERSION = 1


def save_checkpoint(directory: Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Replaces the run's checkpoint in one step.

    Args:
        directory: The run's.
        tensors: Contiguous, on the CPU.
        values: Everything else, as JSON's types.

    Raises:
        OSError: If it cannot be written; the earlier checkpoint is untouched.
    """
    metadata = {"cifarnet": json.dumps(values | {"checkpoint_version": VERSION})}
    files.write_bytes(directory / NAME, save(tensors, metadata))


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
            values = json.loads((file.metadata() or {})["cifarnet"])
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
    return tensors, values
