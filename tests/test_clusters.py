"""The launcher's files for GPUs are ones that accelerate reads."""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from conftest import ROOT

FOUND = {"one_gpu": (1, 1), "eight_gpus": (1, 8), "two_machines": (2, 16)}


@pytest.mark.parametrize("name", FOUND)
def test_accelerate_reads_what_is_there_for_clusters(name: str) -> None:
    path: Path = ROOT / "clusters" / f"{name}.yaml"
    config = load_config_from_file(str(path))
    machines, processes = FOUND[name]
    assert (config.num_machines, config.num_processes) == (machines, processes)
    assert config.distributed_type == ("MULTI_GPU" if processes > 1 else "NO")
    assert not config.use_cpu
    assert f"--config_file clusters/{name}.yaml" in path.read_text()


def test_there_are_no_others() -> None:
    assert {path.stem for path in (ROOT / "clusters").iterdir()} == set(FOUND)
