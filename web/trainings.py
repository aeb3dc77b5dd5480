"""Trainings, one at a time in the order in which they were asked for, each in its own process."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from model.utils.root import PACKAGE

LONGEST = 900.0  # seconds after which a training is stopped and saved: others wait

Phase = Literal[
    "idle", "waiting", "reading", "training", "stopping", "saving", "done", "stopped", "failed"
]


@dataclass(frozen=True)
class State:
    """All that a page shows of a training."""

    phase: Phase = "idle"
    title: str = ""
    """What is learned."""
    text: str = ""
    """How far reading is, or why it failed."""
    started: dict[str, Any] = field(default_factory=dict)
    """Names of the classes, pictures, their true classes, number of training images and epochs."""
    losses: tuple[Any, ...] = ()
    """Epochs, in fractions, and training loss."""
    accuracies: tuple[Any, ...] = ()
    """Epochs and validation accuracy."""
    answers: tuple[Any, ...] = ()
    """For each picture the most probable classes with their probabilities."""
    confusions: tuple[Any, ...] = ()
    """Counts of validation images by true and by predicted class; none of many classes."""
    speed: float = 0.0
    """Images a second."""
    limited: bool = False
    """Whether the time limit stopped it."""

    @property
    def running(self) -> bool:
        """Whether it waits for its turn, or a process works on it."""
        return self.phase in ("waiting", "reading", "training", "stopping", "saving")

    @property
    def epochs_done(self) -> float:
        """Of `started["epochs"]`, in fractions."""
        return float(self.losses[-1][0]) if self.losses else 0.0

    def after(self, report: dict[str, Any]) -> "State":
        """The state with a report of the worker in it: points are added, the rest is replaced."""
        points = {name: getattr(self, name) for name in ("losses", "accuracies") if name in report}
        return replace(self, **report | {k: (*v, report[k]) for k, v in points.items()})


class Training:
    """One training, from the wish to its end.

    Args:
        title: What is learned, for people.
        output: Folder for the model.
        options: Of train.py, by their names; all are chosen by this program, by what visitors
            press.
        ended: Called before its end is seen: whether there is a model now.
    """

    def __init__(
        self, title: str, output: Path, options: dict[str, str], ended: Callable[[bool], None]
    ) -> None:
        self.output, self.options, self._ended = output, options, ended
        self._state, self._lock = State("waiting", title), threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    @property
    def state(self) -> State:
        """How it stands."""
        with self._lock:
            return self._state

    def stop(self) -> None:
        """Asks it to stop after its current step and to save what it has."""
        with self._lock:
            if self._state.phase == "waiting":
                self._state = replace(self._state, phase="stopped")
            elif self._process is not None and self._state.phase in ("reading", "training"):
                self._state = replace(self._state, phase="stopping")
                self._process.terminate()

    def kill(self) -> None:
        """Ends it at once, with nothing saved."""
        self.stop()
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def run(self) -> None:
        """Trains, and returns at the end; a training that was stopped before does not begin."""
        last: dict[str, Any] = {}
        try:
            with self._lock:
                if self._state.phase == "waiting":
                    self._process = self._spawn()
                    self._state = replace(self._state, phase="reading")
            if self._process is not None:
                last = self._follow(self._process)
        except OSError as error:  # no memory for one more process, say; others wait for their turn
            why = error.strerror or type(error).__name__  # and no path of this machine
            last = {"phase": "failed", "text": f"The training could not be started ({why})."}
        self._ended(last.get("phase") == "done")
        with self._lock:
            self._state = self._state.after(last)

    def _spawn(self) -> "subprocess.Popen[str]":
        options = [f"--{k}={v}" for k, v in {**self.options, "output": self.output}.items()]
        return subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", str(LONGEST), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment(),
        )

    def _follow(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        """Takes reports until the process ends; returns what else there is to say about that."""
        assert process.stdout is not None
        with process:  # closes its pipes
            for line in process.stdout:
                if line.endswith("\n"):  # what a killed process was writing does not
                    with self._lock:
                        self._state = self._state.after(json.loads(line))
        phase = self.state.phase
        if not self.state.running:  # it said itself how it ended
            return {}
        if phase == "saving" and process.returncode == 0:
            return {"phase": "done", "text": ""}
        if phase == "stopping" and process.returncode == -signal.SIGTERM:  # it had hardly begun
            return {"phase": "stopped"}
        if phase in ("stopping", "saving"):
            text = "It did not stop in time and was ended; nothing was saved."
            return {"phase": "failed", "text": text}
        memory = " Most likely memory ran out." if process.returncode == -signal.SIGKILL else ""
        text = f"The training process ended early (code {process.returncode}).{memory}"
        return {"phase": "failed", "text": text}


class Trainings:
    """The queue; a thread works on one after the other."""

    def __init__(self) -> None:
        self._queue = queue.SimpleQueue[Training]()
        self._asked: list[Training] = []
        threading.Thread(target=self._work, name="trainings", daemon=True).start()

    def add(self, training: Training) -> None:
        """Has a training run as soon as those before it have ended."""
        self._asked.append(training)
        self._queue.put(training)

    def ahead(self, training: Training) -> int:
        """How many trainings end before this one begins."""
        waiting = [one for one in self._asked if one.state.running]
        return waiting.index(training) if training in waiting else 0

    def close(self) -> None:
        """Ends everything at once."""
        for one in self._asked[::-1]:  # the first one last, so that none takes its place
            one.kill()

    def _work(self) -> None:
        while True:
            training = self._queue.get()
            training.run()
            self._asked.remove(training)


def environment() -> dict[str, str]:
    """For a process that imports this code, wherever the app was started."""
    paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
