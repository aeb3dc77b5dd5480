"""One training at a time, in a process of its own, watched from here."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import timm

from model.data import SYNTHETIC
from model.recipe import RECIPES
from model.utils.errors import TrainingError
from model.utils.files import public_name
from model.utils.root import PACKAGE

LONGEST = 3600.0  # seconds that a training may take before it is stopped and saved
GRACE = 120.0  # seconds that a stopped training has for its last step and for saving
RUNNING = ("reading", "training", "stopping", "saving", "saved")

Phase = Literal[
    "idle", "reading", "training", "stopping", "saving", "saved", "done", "stopped", "failed"
]


@dataclass(frozen=True)
class TrainingRequest:
    """What is to be trained: three names out of lists that the page offers."""

    network: str
    recipe: str
    dataset: str


@dataclass(frozen=True)
class State:
    """All that a page shows of a training."""

    phase: Phase = "idle"
    request: TrainingRequest | None = None
    text: str = ""
    """How far reading is, why it failed, or the name of the model that came out."""
    started: dict[str, Any] = field(default_factory=dict)
    """Pictures, true classes, number of training images and epochs."""
    losses: tuple[Any, ...] = ()
    """Epochs, in fractions, and training loss."""
    accuracies: tuple[Any, ...] = ()
    """Epochs and validation accuracy."""
    answers: tuple[Any, ...] = ()
    """For each picture the most probable classes with their probabilities."""
    speed: float = 0.0
    """Images a second."""
    limited: bool = False
    """Whether the time limit stopped it."""

    @property
    def running(self) -> bool:
        """Whether a process works on it."""
        return self.phase in RUNNING

    @property
    def epochs_done(self) -> float:
        """Of `started["epochs"]`, in fractions."""
        return float(self.losses[-1][0]) if self.losses else 0.0

    def after(self, report: dict[str, Any]) -> "State":
        """The state with a report of the worker in it: points are added, the rest is replaced."""
        for name in ("losses", "accuracies"):
            if name in report:
                report[name] = (*getattr(self, name), report[name])
        if self.phase == "stopping" and report.get("phase") == "training":
            del report["phase"]
        return replace(self, **report)


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
        register: Callable[[Path, TrainingRequest], str],
        *,
        longest: float = LONGEST,
    ) -> None:
        self.datasets = {SYNTHETIC: SYNTHETIC}
        if dataset and dataset != SYNTHETIC:
            self.datasets[public_name(dataset)] = dataset
        self.networks: list[str] = timm.list_models("cifarnet_*")
        self._register, self._longest = register, longest
        self._state = State()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._follower: threading.Thread | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="cifarnet-")
        self._output = Path(self._folder.name) / "model"
        atexit.register(self.close)

    @property
    def state(self) -> State:
        """How the latest training stands."""
        with self._lock:
            return self._state

    def start(self, request: TrainingRequest) -> None:
        """Starts a training.

        Raises:
            TrainingError: If one is running, or a name is not one of those offered.
        """
        known = {
            "network": (request.network, self.networks),
            "recipe": (request.recipe, RECIPES),
            "dataset": (request.dataset, self.datasets),
        }
        for kind, (name, offered) in known.items():
            if name not in offered:
                raise TrainingError(f"Choose a {kind} from the list: {', '.join(offered)}.")
        with self._lock:
            if self._state.running:
                raise TrainingError(
                    "A training is already running. Stop it first, or wait for its end."
                )
            self._state = State("reading", request)
            self._process = process = self._spawn(request)
        timer = _later(self._longest, lambda: self._expire(process))
        self._follower = threading.Thread(target=self._follow, args=(process, timer), daemon=True)
        self._follower.start()

    def stop(self) -> None:
        """Asks a running training to stop after its current step and to save what it has."""
        with self._lock:
            process = self._process
            if not self._state.running or process is None:
                return
            if self._state.phase in ("reading", "training"):
                self._state = replace(self._state, phase="stopping")
        _tell(process, "stop")
        _later(GRACE, process.kill)

    def close(self) -> None:
        """Ends everything at once; called when the app ends."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
        if self._follower is not None:
            self._follower.join(10)
        self._folder.cleanup()

    def _spawn(self, request: TrainingRequest) -> "subprocess.Popen[str]":
        paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        order = dict(network=request.network, recipe=request.recipe, output=str(self._output))
        _tell(process, json.dumps({**order, "dataset": self.datasets[request.dataset]}))
        return process

    def _expire(self, process: "subprocess.Popen[str]") -> None:
        with self._lock:
            if process is not self._process or not self._state.running:
                return
            self._state = replace(self._state, limited=True)
        self.stop()

    def _follow(self, process: "subprocess.Popen[str]", timer: threading.Timer) -> None:
        """Takes reports until the process ends, then hands over what it has saved."""
        assert process.stdout is not None
        with process:  # closes its pipes
            for line in process.stdout:
                with self._lock:
                    self._state = self._state.after(json.loads(line))
        timer.cancel()
        state = self.state
        if state.phase == "saved" and state.request is not None:
            try:
                ended = {"phase": "done", "text": self._register(self._output, state.request)}
            except Exception as error:  # whatever is wrong, the page says so
                ended = {"phase": "failed", "text": str(error)}
        elif state.running:
            ended = {"phase": "failed", "text": _cause(state.phase, process.returncode)}
        else:
            return
        with self._lock:
            self._state = self._state.after(ended)


def _cause(phase: Phase, code: int) -> str:
    """Why a process ended without saying so."""
    if phase in ("stopping", "saving"):
        return "It did not stop in time and was ended; nothing was saved."
    memory = " Most likely memory ran out." if code == -9 else ""
    return f"The training process ended early (code {code}).{memory}"


def _later(seconds: float, call: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, call)
    timer.daemon = True  # the app may end before
    timer.start()
    return timer


def _tell(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    try:
        print(line, file=process.stdin, flush=True)
    except (BrokenPipeError, ValueError):  # it has just ended
        return
