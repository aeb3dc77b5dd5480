"""train.py as a user runs it: to the end, interrupted, repeated, and with everything wrong."""

import asyncio
import json
import re
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from conftest import QUICK, ROOT, SIGKILL, Here, Program, kill_when

import train
from model.checkpoint import NAME
from model.hub import from_pretrained
from model.inference.classifier import Classifier

WEIGHTS = "model.safetensors"
LAYOUT = {"config.json", WEIGHTS, "README.md", "results.json", "figures", NAME, "log.jsonl"}


Refused = Callable[..., str]


@pytest.fixture
def refused(train_here: Here) -> Refused:
    """Calls train.py in this process, expects a mistake of the user's, and gives what it said."""

    def run(*arguments: str | Path) -> str:
        code, _, said = train_here(*arguments)
        assert code == 2, said
        assert said.count("error: ") == 1
        return said

    return run


def test_a_run_prints_epochs_and_a_table(trained: Path) -> None:
    lines = (trained / "stdout.txt").read_text().splitlines()
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert len(epochs) == 3
    assert all(word in epochs[0] for word in ("train loss", "validation loss", "accuracy", " s"))
    text = "\n".join(lines)
    for row in ("test accuracy", "95% interval", "calibration error"):
        assert row in text
    calibrated = json.loads((trained / "results.json").read_text())["test"]["calibrated"]
    assert re.search(rf"as the classifier answers +{calibrated['accuracy']:.2%}\n", text)
    assert re.search(rf"once calibrated +{calibrated['ece']:.2%}\n", text)
    assert lines[-3] == f"Saved in {trained}"
    assert lines[-2] == f"Ask it: python -m model PICTURE --model {trained}"
    assert lines[-1] == f"or on a page: python app.py --model {trained}"


def test_results_and_log_say_what_happened(trained: Path) -> None:
    results = json.loads((trained / "results.json").read_text())
    log = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert log == results["training"]["epochs"]
    assert [row["epoch"] for row in log] == [1, 2, 3]
    assert results["dataset"]["sizes"] == {"train": 210, "validation": 30, "test": 60}
    assert results["dataset"]["label_names"] == ["cross", "ring", "stripes"]
    assert results["dataset"]["name"] == "shapes"
    assert results["test"]["plain"]["accuracy"] > 0.6
    assert results["training"]["recipe"]["mixed_precision"] in ("no", "bf16")
    assert str(trained.parent) not in (trained / "config.json").read_text()


def test_a_run_knows_its_limits(trained: Path) -> None:
    """Temperature and thresholds, fitted on the 30 validation images, reach the classifier."""
    results = json.loads((trained / "results.json").read_text())
    found, calibrated = results["calibration"], results["test"]["calibrated"]
    classifier = Classifier.from_pretrained(trained)
    assert found["temperature"] == classifier.temperature != 1
    assert found["images"] == 30
    assert found["test"]["ece"] == calibrated["ece"]
    assert found["confident"]["threshold"] == pytest.approx(
        classifier.calibration.confident, abs=1e-6
    )
    assert classifier.calibration.known is not None  # from 30 images, each in several ways
    assert "temperature of" in (trained / "README.md").read_text()


def test_from_config_repeats_a_run_bit_for_bit(
    trained: Path, train_here: Here, tmp_path: Path
) -> None:
    again = ("--from-config", trained / "config.json", "--output", tmp_path / "b")
    assert train_here(*again)[0] == 0
    assert (tmp_path / "b" / WEIGHTS).read_bytes() == (trained / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    "sign",
    [signal.SIGTERM, *(pytest.param(x, marks=pytest.mark.slow) for x in (SIGKILL, signal.SIGINT))],
)
def test_an_interrupted_run_resumes_to_the_same_weights(
    sign: signal.Signals, trained: Path, shapes: Path, program: Program, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    log = run / "log.jsonl"
    stderr = kill_when(
        ["train.py", "--dataset", shapes, "--output", run, *QUICK],
        lambda: log.is_file() and bool(log.read_text()),
        sign,
    )
    if sign != SIGKILL:
        assert "Traceback" not in stderr
        assert f"--resume {run}" in stderr
    done = program("train.py", "--resume", run)
    assert done.returncode == 0, done.stderr
    assert (run / WEIGHTS).read_bytes() == (trained / WEIGHTS).read_bytes()
    assert {path.name for path in run.iterdir()} == LAYOUT


def test_it_trains_beside_an_event_loop_in_any_thread(shapes: Path, tmp_path: Path) -> None:
    """As in a notebook, or in a program of one's own."""

    async def train_here() -> None:
        train.main(["--dataset", str(shapes), "--output", str(tmp_path / "run"), *QUICK])

    threads = torch.get_num_threads()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, train_here()).result()
    torch.set_num_threads(threads)
    assert from_pretrained(tmp_path / "run").num_classes == 3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--output", str(ROOT / "README.md" / "run")], "README.md"),
        (["--val-size", "240"], "--val-size 240"),
        (["--track", "nonsense"], "nonsense"),
        (["--label-column", "nonsense"], "nonsense"),
    ],
)
def test_mistakes_are_one_message(
    arguments: list[str], named: str, shapes: Path, refused: Refused, tmp_path: Path
) -> None:
    assert named in refused("--dataset", shapes, "--output", tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


def test_what_would_fail_later_is_found_before_training(
    shapes: Path, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, run = shutil.copytree(shapes, tmp_path / "data"), tmp_path / "run"
    line = ("--dataset", data, "--output", run, *QUICK)
    with monkeypatch.context() as patched:
        patched.setenv("WORLD_SIZE", "2")  # as torchrun does, of which accelerate hears on GPUs
        assert "ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2" in refused(*line)
    with monkeypatch.context() as patched:
        usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
        patched.setattr(shutil, "disk_usage", lambda path: usage)
        assert "room for 1 MiB" in refused(*line)
    (data / "test" / "ring" / "009.png").write_bytes(b"no picture")
    assert "test/ring/009.png" in refused(*line)
    assert not run.exists()


@pytest.mark.slow
def test_synthetic_beats_ninety_percent(program: Program, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = program("train.py", "--dataset", "synthetic", "--output", run)
    assert done.returncode == 0, done.stderr
    results = json.loads((run / "results.json").read_text())
    assert results["test"]["plain"]["accuracy"] > 0.9
    assert results["training"]["recipe"]["name"] == "tiny"


@pytest.mark.slow
def test_a_tracker_gets_the_curves(shapes: Path, program: Program, tmp_path: Path) -> None:
    run = tmp_path / "run"
    short = [*QUICK, "--epochs", "1", "--track", "tensorboard"]
    done = program("train.py", "--dataset", shapes, "--output", run, *short)
    assert done.returncode == 0, done.stderr
    events = b"".join(path.read_bytes() for path in run.rglob("events.out.tfevents*"))
    assert b"validation_accuracy" in events
    assert b"train_loss" in events


def test_a_loss_that_is_not_finite_keeps_the_checkpoint(
    shapes: Path, refused: Refused, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    rates = [f"--{one}learning-rate=9e5" for one in ("", "bias-", "head-")] + ["--warmup", "0"]
    assert "learning rate" in refused("--dataset", shapes, "--output", run, *QUICK, *rates)
    assert (run / NAME).is_file()
    assert not (run / "model.safetensors").exists()
