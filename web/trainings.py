"""One training at a time, in a process of its own, watched from here."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import timm

from model.data import SYNTHETIC
from model.recipe import RECIPES
from model.utils.errors import TrainingError
from model.utils.root import PACKAGE

LONGEST = 3600.0  # seconds that a training may take before it is stopped and saved
GRACE = 120.0  # seconds that a stopped training has for its last step and for saving

Phase = Literal["idle", "reading", "training", "stopping", "saving", "done", "stopped", "failed"]
RUNNING = ("reading", "training", "stopping", "saving")


@dataclass(frozen=True)
class Job:
    """What is trained: three names out of lists that the page offers."""

    network: str
    recipe: str
    dataset: str


@dataclass(frozen=True)
class State:
    """All that a page shows of a training."""

    phase: Phase = "idle"
    job: Job | None = None
    text: str = ""
    """Why it failed, or the name of the model that came out."""
    started: dict[str, Any] = field(default_factory=dict)
    """Pictures, true classes, sizes, epochs and steps."""
    losses: tuple[tuple[float, float], ...] = ()
    """Epochs, in fractions, and training loss."""
    accuracies: tuple[tuple[float, float], ...] = ()
    """Epochs and validation accuracy."""
    answers: tuple[Any, ...] = ()
    """For each picture the most probable classes with their probabilities."""
    speed: float = 0.0
    """Images a second."""
    since: float = 0.0
    """time.monotonic() at the start of training proper."""
    limited: bool = False
    """Whether the time limit stopped it."""

    @property
    def running(self) -> bool:
        """Whether a process works on it."""
        return self.phase in RUNNING

    @property
    def epochs_done(self) -> float:
        """Of `started["epochs"]`, in fractions."""
        return self.losses[-1][0] if self.losses else 0.0


class Trainings:
    """Starts, follows and ends trainings.

    Args:
        dataset: As given on the command line; the only one besides the generated pictures.
        register: Called with a folder when a model lies there; returns the model's name.
        longest: Seconds that a training may take.
    """

    def __init__(
        self,
        dataset: str | None,
        register: Callable[[Path, Job], str],
        *,
        longest: float = LONGEST,
    ) -> None:
        self.datasets = {SYNTHETIC: SYNTHETIC}
        if dataset and dataset != SYNTHETIC:
            self.datasets[_shown(dataset)] = dataset
        self.networks: list[str] = timm.list_models("cifarnet_*")
        self._register, self._longest = register, longest
        self._state = State()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._follower: threading.Thread | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="cifarnet-")
        atexit.register(self.close)

    @property
    def state(self) -> State:
        """How the latest training stands."""
        with self._lock:
            return self._state

    def start(self, job: Job) -> None:
        """Starts a training.

        Raises:
            TrainingError: If one is running, or a name is not one of those offered.
        """
        known = {
            "network": (job.network, self.networks),
            "recipe": (job.recipe, RECIPES),
            "dataset": (job.dataset, self.datasets),
        }
        for kind, (name, offered) in known.items():
            if name not in offered:
                raise TrainingError(f"Choose a {kind} from the list: {', '.join(offered)}.")
        with self._lock:
            if self._state.running:
                raise TrainingError(
                    "A training is already running. Stop it first, or wait for its end."
                )
            self._state = State("reading", job)
            self._process = process = self._spawn(job)
        timer = threading.Timer(self._longest, self._expire, [process])
        timer.daemon = True
        timer.start()
        self._follower = threading.Thread(target=self._follow, args=(process, timer), daemon=True)
        self._follower.start()

    def stop(self) -> None:
        """Asks a running training to stop after its current step and to save what it has."""
        with self._lock:
            process = self._process
            if not self._state.running or process is None:
                return
            if self._state.phase != "saving":
                self._state = replace(self._state, phase="stopping")
        _tell(process, "stop")
        reaper = threading.Timer(GRACE, process.kill)
        reaper.daemon = True
        reaper.start()

    def close(self) -> None:
        """Ends everything at once; called when the app ends."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
        if self._follower is not None:
            self._follower.join(10)
        self._folder.cleanup()

    def _spawn(self, job: Job) -> "subprocess.Popen[str]":
        output = Path(self._folder.name) / "model"
        paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        order = dict(network=job.network, recipe=job.recipe, output=str(output))
        _tell(process, json.dumps({**order, "dataset": self.datasets[job.dataset]}))
        return process

    def _expire(self, process: "subprocess.Popen[str]") -> None:
        with self._lock:
            if process is not self._process or not self._state.running:
                return
            self._state = replace(self._state, limited=True)
        self.stop()

    def _follow(self, process: "subprocess.Popen[str]", timer: threading.Timer) -> None:
        """Takes reports until the process ends."""
        assert process.stdout is not None
        with process:  # closes its pipes
            for line in process.stdout:
                self._take(json.loads(line))
        code = process.returncode
        timer.cancel()
        with self._lock:
            if self._state.running:
                text = _cause(self._state.phase, code)
                self._state = replace(self._state, phase="failed", text=text)

    def _take(self, report: dict[str, Any]) -> None:
        """Works one report into the state."""
        kind = report.pop("kind")
        if kind == "saved":
            self._finish()
            return
        with self._lock:
            self._state = after(self._state, kind, report)

    def _finish(self) -> None:
        """Hands the trained model over to those who classify."""
        job = self.state.job
        assert job is not None
        try:
            name = self._register(Path(self._folder.name) / "model", job)
        except Exception as error:  # whatever is wrong, the page says so
            with self._lock:
                self._state = replace(self._state, phase="failed", text=str(error))
            return
        with self._lock:
            self._state = replace(self._state, phase="done", text=name)


def after(state: State, kind: str, report: dict[str, Any]) -> State:
    """A state with one more report of the worker in it."""
    if kind == "started":
        phase: Phase = state.phase if state.phase == "stopping" else "training"
        return replace(state, phase=phase, started=report, since=time.monotonic())
    if kind == "step":
        losses = (*state.losses, (report["at"], report["loss"]))
        return replace(state, losses=losses, speed=report["speed"])
    if kind == "epoch":
        at = state.epochs_done if report["epoch"] is None else report["epoch"]
        return replace(state, accuracies=(*state.accuracies, (at, report["accuracy"])))
    if kind == "answers":
        return replace(state, answers=tuple(report["answers"]))
    if kind == "reading":
        return replace(state, text=f"{report['done']:,} of {report['count']:,} images read")
    if kind == "failed":
        return replace(state, phase="failed", text=report["text"])
    if kind == "saving":
        return replace(state, phase="saving")
    if kind == "stopped":
        return replace(state, phase="stopped")
    return state


def _shown(dataset: str) -> str:
    """A name to show: of a folder only its last part, since paths are nobody's business."""
    return Path(dataset).resolve().name if Path(dataset).is_dir() else dataset


def _cause(phase: Phase, code: int) -> str:
    """Why a process ended without saying so."""
    if phase in ("stopping", "saving"):
        return "It did not stop in time and was ended; nothing was saved."
    memory = " Most likely memory ran out." if code == -9 else ""
    return f"The training process ended early (code {code}).{memory}"


def _tell(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    try:
        print(line, file=process.stdin, flush=True)
    except (BrokenPipeError, ValueError):  # it has just ended
        return
