"""A run that is interrupted at random moments ends at the weights of one that was left alone."""

from pathlib import Path

import pytest
from conftest import QUICK

pytest.importorskip("resource")  # not on Windows

from benchmarks.survival import survive

pytestmark = pytest.mark.slow


def test_interruptions_change_nothing(shapes: Path, tmp_path: Path) -> None:
    options = ["--dataset", str(shapes), *QUICK, "--cache-limit", "0"]  # streamed
    report = survive(tmp_path, options, kills=4, each=4)
    assert report.faults == []
    assert report.kills.total() >= 4
