"""Training by two CPU processes: the same global batches, one set of files, one end."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import QUICK, ROOT, SIGKILL, Program, kill_when
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

# So that the first layer freezes on the way, and gradients are exchanged once a batch only. In full
# precision: what differs in the last digit grows.
MORE = ["--stem-bias-epochs", "1", "--gradient-accumulation-steps", "4", "--mixed-precision", "no"]
ENV = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
LAUNCH += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0", "train.py"]


def start(*options: str | Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    line = [*LAUNCH, *map(str, options)]
    return subprocess.Popen(line, cwd=ROOT, env=ENV, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def pair(
    shapes: Path, program: Program, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, str]:
    """Runs of one process and of two, otherwise alike, and what the two said."""
    folder = tmp_path_factory.mktemp("pair")
    options: list[str | Path] = ["--dataset", shapes, *QUICK, *MORE, "--output"]
    done = program("train.py", *options, folder / "one")
    assert done.returncode == 0, done.stderr
    process = start(*options, folder / "two")
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return folder / "one", folder / "two", said


def test_two_processes_train_like_one(pair: tuple[Path, Path, str]) -> None:
    one, two = (json.loads((d / "results.json").read_text()) for d in pair[:2])
    assert two["training"]["processes"] == 2
    assert two["dataset"] == one["dataset"]
    first, *_ = zip(one["training"]["epochs"], two["training"]["epochs"], strict=True)
    assert abs(first[0]["train_loss"] - first[1]["train_loss"]) < 1e-3
    assert two["test"]["plain"]["count"] == 60
    right = [round(60 * results["test"]["plain"]["accuracy"]) for results in (one, two)]
    assert min(right) > 27  # chance is 20
    assert abs(right[0] - right[1]) <= 6  # rounding adds up


def test_metrics_of_two_processes_are_those_of_one(
    pair: tuple[Path, Path, str], shapes: Path, program: Program
) -> None:
    """The two share the validation images; the report is made by the first one alone."""
    results = json.loads((pair[1] / "results.json").read_text())
    shared, alone = results["training"]["epochs"][-1], results["validation"]["plain"]
    assert shared["validation_accuracy"] == pytest.approx(alone["accuracy"], abs=1e-6)
    done = program("-m", "model.evaluation", pair[1], "--dataset", shapes, "--split", "test")
    assert done.returncode == 0, done.stderr
    assert "identical to results.json" in done.stdout, done.stdout


def test_two_processes_find_the_classifier_that_one_finds(
    pair: tuple[Path, Path, str], shapes: Path, program: Program, tmp_path: Path
) -> None:
    options: list[str | Path] = ["--dataset", shapes, *QUICK, *MORE, "--init-from", pair[0]]
    options += ["--freeze", "--output"]
    done = program("train.py", *options, tmp_path / "one")
    assert done.returncode == 0, done.stderr
    process = start(*options, tmp_path / "two")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    runs = [load_file(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    for name, value in runs[0].items():
        assert torch.allclose(value, runs[1][name], atol=1e-4), name


def test_one_set_of_files_is_written(pair: tuple[Path, Path, str]) -> None:
    one, two, said = pair
    assert said.count("Saved in") == 1
    assert said.count("epoch 1/3") == 1
    names = [sorted(str(p.relative_to(d)) for p in d.rglob("*")) for d in (one, two)]
    assert names[0] == names[1]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's list of processes")
def test_a_killed_process_ends_the_run_which_can_be_resumed_alone(
    shapes: Path, program: Program, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = start("--dataset", shapes, *QUICK, "--epochs", "60", "--output", run)
    try:
        while not (log := run / "log.jsonl").is_file() or log.read_text().count("\n") < 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 2
        os.kill(int(children[1]), SIGKILL)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0
    assert f"--resume {run}" in errors
    done = log.read_text().count("\n")
    resumed = program("train.py", "--resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert "another number of processes (1, not 2)" in resumed.stdout
    assert log.read_text().count("\n") == 60 > done


def test_a_run_of_one_process_goes_on_with_two(shapes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    log = run / "log.jsonl"
    line: list[str | Path] = ["train.py", "--dataset", shapes, *QUICK, "--epochs", "20"]
    kill_when([*line, "--output", run], lambda: log.is_file() and bool(log.read_text()), SIGKILL)
    assert log.read_text().count("\n") < 20
    process = start("--resume", run)
    try:
        said, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "another number of processes (2, not 1)" in said
    assert log.read_text().count("\n") == 20
    assert json.loads((run / "results.json").read_text())["training"]["processes"] == 2
