"""A small dataset that the tests make, and a way to run the project's programs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_fixtures import hub, outside, saved, tiny  # noqa: F401  (fixtures)
from pages import (  # noqa: F401  (fixtures)
    browser,
    default_page,
    default_url,
    new_page,
    shapes_page,
    shapes_url,
    training_url,
)
from PIL import Image

from model.inference import optimize

if "PYTEST_XDIST_WORKER" in os.environ:  # threads of several test processes wait for each other
    torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("cross", "ring", "stripes")
POSIX = os.name == "posix"  # other systems have other signals, and no limits for a process
SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)

# A run of seconds on the shapes below.
QUICK = [
    *("--recipe", "default", "--network", "cifarnet_nano", "--epochs", "3", "--batch-size", "40"),
    *("--gradient-accumulation-steps", "1", "--val-size", "30", "--resolution", "0.6:0.5,1:0.75"),
    *("--learning-rate", "0.12", "--momentum", "0.7", "--warmup", "0.05", "--ema-decay", "0.9"),
]

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach out by accident
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def picture(kind: int, rng: np.random.Generator, size: int = 32) -> np.ndarray:
    """A noisy picture of one of `NAMES`, uint8 (size, size, 3)."""
    y, x = np.mgrid[:size, :size] - size / 2 + rng.uniform(-4, 4, (2, 1, 1))
    radius = np.hypot(x, y)
    shape = (
        (abs(x) < 3) | (abs(y) < 3),
        (radius > 6) & (radius < 11),
        (x.round().astype(int) // 4) % 2 == 0,
    )[kind]
    colour = rng.uniform(120, 255, 3)
    image = rng.uniform(0, 80, (size, size, 3)) + shape[..., None] * colour * 0.7
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers as on a processor that has no units for bfloat16."""
    monkeypatch.setattr(optimize, "has_bf16", lambda _: False)


@pytest.fixture(autouse=True)
def _forget_accelerator() -> Iterator[None]:
    """accelerate keeps its precision for the whole process; the next test may want another."""
    yield
    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders: 80 training and 20 test pictures of three classes each."""
    folder, rng = tmp_path_factory.mktemp("data") / "shapes", np.random.default_rng(0)
    for split, count in (("train", 80), ("test", 20)):
        for kind, name in enumerate(NAMES):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                image = Image.fromarray(picture(kind, rng))
                image.save(folder / split / name / f"{i:03}.png")
    return folder


Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def program() -> Program:
    """Runs `python ARGUMENTS` in the project's root to its end, away from any hub."""

    def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        options.setdefault("timeout", 300)
        return subprocess.run(  # type: ignore[call-overload]
            [sys.executable, *map(str, arguments)],
            cwd=options.pop("cwd", ROOT),
            capture_output=True,
            text=True,
            env={**os.environ, **(options.pop("env", None) or {})},  # type: ignore[dict-item]
            **options,
        )

    return run


@pytest.fixture(scope="session")
def trained(shapes: Path, program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the shapes, started as the README says."""
    run = tmp_path_factory.mktemp("runs") / "trained"
    launch = ["-m", "accelerate.commands.launch", "--cpu", "train.py"]
    done = program(*launch, "--dataset", shapes, "--output", run, *QUICK)
    assert done.returncode == 0, done.stderr
    (run / "stdout.txt").write_text(done.stdout)
    return run


Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def train_here(capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Calls train.py in this process: its exit code, and what it said on stdout and stderr."""
    import train

    threads, handler = torch.get_num_threads(), signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> tuple[int, str, str]:
        code: object = 0
        try:
            train.main([str(one) for one in arguments])
        except SystemExit as stopped:
            code = stopped.code
        said = capsys.readouterr()
        assert isinstance(code, int)
        assert "Traceback" not in said.err
        return code, said.out, said.err

    yield run
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, handler)


def kill_when(arguments: list[str | Path], ready: Callable[[], bool], sign: signal.Signals) -> str:
    """Starts a program, sends a signal once `ready()`, and returns what it wrote to stderr."""
    if not POSIX:
        pytest.skip("needs the signals of POSIX")
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Started in the background, the tests would hand on that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not ready():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        process.send_signal(sign)
        stderr = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode not in (0, 1), stderr
    return stderr
