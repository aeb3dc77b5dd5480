"""What is told about the machine: enough to judge a number, and nothing private."""

import json
import platform

import torch

from model.utils import machine


def test_machine_tells_no_names_or_paths() -> None:
    content = machine.machine()
    assert set(content) == {"cpu", "cores", "device", "memory_gib", "system"}
    assert content["device"] == "cpu"
    assert isinstance(content["cores"], int)
    assert content["cores"] >= 1
    assert platform.node() not in json.dumps(content)
    assert machine.versions()["torch"] == torch.__version__.split("+")[0]
    peak = machine.peak_memory_mib()
    assert peak is None or 50 < peak < 2**20
