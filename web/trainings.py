"""One training at a time, in a process of its own, watched from here."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import timm

from model.data import SYNTHETIC
from model.recipe import RECIPES
from model.utils.errors import CifarnetError, TrainingError
from model.utils.files import public_name
from model.utils.root import PACKAGE

LONGEST = 3600.0  # seconds after which a training is stopped and saved

Phase = Literal["idle", "reading", "training", "stopping", "saving", "done", "stopped", "failed"]


@dataclass(frozen=True)
class TrainingRequest:
    """What is to be trained: three names out of lists that the page offers."""

    network: str
    recipe: str
    dataset: str

    def __str__(self) -> str:
        return f"{self.network} on {self.dataset}"


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
        return self.phase in ("reading", "training", "stopping", "saving")

    @property
    def epochs_done(self) -> float:
        """Of `started["epochs"]`, in fractions."""
        return float(self.losses[-1][0]) if self.losses else 0.0

    def after(self, report: dict[str, Any]) -> "State":
        """The state with a report of the worker in it: points are added, the rest is replaced."""
        points = {name: getattr(self, name) for name in ("losses", "accuracies") if name in report}
        return replace(self, **report | {k: (*v, report[k]) for k, v in points.items()})


class Trainings:
    """Starts, follows and ends trainings.

    Args:
        dataset: As given on the command line; the only one besides the generated pictures.
        register: Called with a folder when a model lies there, and with what was trained; returns
            the model's name.
        longest: Seconds after which a training is stopped.
    """

    def __init__(
        self,
        dataset: str | None,
        register: Callable[[Path, str], str],
        *,
        longest: float = LONGEST,
    ) -> None:
        self.datasets = {SYNTHETIC: SYNTHETIC}
        if dataset and dataset != SYNTHETIC:
            self.datasets[public_name(dataset)] = dataset
        self.networks: list[str] = timm.list_models("cifarnet_*")
        self._register, self._longest = register, longest
        self._state, self._lock = State(), threading.Lock()
        self._process: subprocess.Popen[str] | None = None
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
        offers = dict(network=self.networks, recipe=RECIPES, dataset=self.datasets)
        for kind, name in asdict(request).items():
            if name not in offers[kind]:
                offered = ", ".join(offers[kind])
                raise TrainingError(f"{name!r}: choose a {kind} from the list: {offered}.")
        with self._lock:
            if self._state.running:
                raise TrainingError(
                    "A training is already running. Stop it first, or wait for its end."
                )
            self._state = State("reading", request)
            self._process = process = self._spawn(request)
        threading.Thread(target=self._follow, args=(process, request), daemon=True).start()

    def stop(self) -> None:
        """Asks a running training to stop after its current step and to save what it has."""
        with self._lock:
            if self._process is not None and self._state.phase in ("reading", "training"):
                self._state = replace(self._state, phase="stopping")
                self._process.terminate()

    def close(self) -> None:
        """Ends everything at once; called when the app ends."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        self._folder.cleanup()

    def _spawn(self, request: TrainingRequest) -> "subprocess.Popen[str]":
        order = dict(asdict(request), output=str(self._output), longest=self._longest)
        order["dataset"] = self.datasets[request.dataset]
        paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )

    def _follow(self, process: "subprocess.Popen[str]", request: TrainingRequest) -> None:
        """Takes reports until the process ends, then hands over what it has saved."""
        assert process.stdout is not None
        with process:  # closes its pipes
            for line in process.stdout:
                with self._lock:
                    self._state = self._state.after(json.loads(line))
        phase = self.state.phase
        if not self.state.running:  # it said itself how it ended
            return
        ended = {"phase": "failed", "text": _cause(phase, process.returncode)}
        if phase == "saving" and process.returncode == 0:
            try:
                ended = {"phase": "done", "text": self._register(self._output, str(request))}
            except CifarnetError as error:
                ended = {"phase": "failed", "text": str(error)}
        elif phase == "stopping" and process.returncode == -signal.SIGTERM:  # it had hardly begun
            ended = {"phase": "stopped"}
        with self._lock:
            self._state = self._state.after(ended)


def _cause(phase: Phase, code: int) -> str:
    """Why a process ended without saying so."""
    if phase in ("stopping", "saving"):
        return "It did not stop in time and was ended; nothing was saved."
    memory = " Most likely memory ran out." if code == -signal.SIGKILL else ""
    return f"The training process ended early (code {code}).{memory}"
