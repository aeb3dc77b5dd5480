"""A run that is interrupted at random moments ends at the weights of one that was left alone."""

from pathlib import Path

import pytest
from conftest import QUICK

pytest.importorskip("resource")  # not on Windows

from benchmarks.survival import survive

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [0, 1])
def test_interruptions_change_nothing(seed: int, shapes: Path, tmp_path: Path) -> None:
    options = ["--dataset", str(shapes), *QUICK]
    report = survive(tmp_path, options, kills=4, each=4, seed=seed)
    assert report.faults == []
    assert report.kills.total() >= 4
