"""Checkpoints are whole, or refused with a reason."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.checkpoint import NAME, load_checkpoint, save_checkpoint
from model.utils.errors import TrainingError

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7)}


def test_none_there(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no checkpoint"):
        load_checkpoint(tmp_path)


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, TENSORS, {"epochs_done": 3})
    path = tmp_path / NAME
    whole = path.read_bytes()
    for at in range(len(whole)):
        for bit in (0, 3, 6):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                tensors, values = load_checkpoint(tmp_path)
            except TrainingError:
                continue
            # White space around JSON may change; nothing that is read may.
            assert values["epochs_done"] == 3
            assert tensors.keys() == TENSORS.keys()
            assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_foreign_safetensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / NAME)
    with pytest.raises(TrainingError, match=r"not written by train\.py"):
        load_checkpoint(tmp_path)
