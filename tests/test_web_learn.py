"""A training behind the page: one at a time, watched, bounded, and gone when the app is gone."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

import model.training
from model.inference.classifier import Classifier
from model.recipe import RECIPES
from model.utils.errors import TrainingError
from model.utils.synthetic import NAMES
from web import learn
from web.trainings import Job, State, Trainings, after
from web.worker import Lesson

JOB = Job("cifarnet_nano", "tiny", "synthetic")
LONG = Job("cifarnet_nano", "release", "synthetic")
STARTED = {
    "images": ["data:image/png;base64,AA=="] * 6,
    "truth": ["disc", "ring", "square", "frame", "triangle", "cross"],
    "sizes": {"train": 3600, "validation": 400},
    "classes": 10,
    "epochs": 4,
    "steps": 2,
}
TRAINING = State("training", JOB, started=STARTED, losses=((0.5, 2.0), (1.0, 1.5)), since=1.0)


def wait(condition: Callable[[], bool], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


class Kept:
    """Takes trained models, as the page's list of models does."""

    def __init__(self) -> None:
        self.models: list[Classifier] = []

    def __call__(self, folder: Path, job: Job) -> str:
        self.models.append(Classifier.from_pretrained(folder))
        return "trained here"


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def trainings(kept: Kept) -> Iterator[Trainings]:
    trainings = Trainings(None, kept)
    yield trainings
    trainings.close()


def test_a_training_runs_one_at_a_time_stops_at_will_and_is_kept(
    trainings: Trainings, kept: Kept
) -> None:
    trainings.start(LONG)
    with pytest.raises(TrainingError, match="already running"):
        trainings.start(JOB)
    wait(lambda: len(trainings.state.losses) > 2 and bool(trainings.state.answers))
    state = trainings.state
    assert state.phase == "training"
    assert len(state.started["images"]) == len(state.answers) == 6
    assert len(set(state.started["truth"])) == 6  # six classes
    assert all(1 >= p >= 0 for answer in state.answers for _, p in answer)
    trainings.stop()
    wait(lambda: not trainings.state.running)
    state = trainings.state
    assert state.phase == "done", state.text
    assert state.text == "trained here"
    assert 0 < state.epochs_done < state.started["epochs"]
    assert kept.models[0].label_names == NAMES
    assert trainings._process is not None
    assert trainings._process.wait(10) == 0
    assert "Stopped after" in learn.sentence(state)


def test_a_training_to_its_end_learns_and_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = dataclasses.replace(RECIPES["tiny"], name="quick", epochs=2)
    monkeypatch.setitem(RECIPES, "quick", quick)
    monkeypatch.setattr(model.training, "CHECK_EVERY", 1)
    job = dict(network="cifarnet_nano", recipe="quick", dataset="synthetic", output=str(tmp_path))
    out = io.StringIO()
    Lesson(job, out).run()
    state = State("reading", JOB)
    kinds = []
    for line in out.getvalue().splitlines():
        report = json.loads(line)
        kinds.append(report.pop("kind"))
        state = after(state, kinds[-1], report)
    assert [kind for kind in kinds if kind not in ("reading", "step", "answers")] == [
        "started", "epoch", "epoch", "saving", "saved",
    ]  # fmt: skip
    assert len(state.losses) == 2 * state.started["steps"]
    assert state.epochs_done == 2
    first, last = (sum(loss for _, loss in part) for part in (state.losses[:9], state.losses[-9:]))
    assert last < first
    assert [epoch for epoch, _ in state.accuracies] == [1, 2]
    classifier = Classifier.from_pretrained(tmp_path)
    assert classifier.label_names == NAMES
    assert classifier.image_size == 32


def test_the_time_limit_stops_and_keeps(kept: Kept) -> None:
    trainings = Trainings(None, kept, longest=20)
    try:
        trainings.start(LONG)
        wait(lambda: not trainings.state.running)
        assert trainings.state.limited
        assert trainings.state.phase == "done", trainings.state.text
        assert "Stopped by the time limit" in learn.sentence(trainings.state)
        assert len(kept.models) == 1
    finally:
        trainings.close()


def test_stopping_before_the_first_step_ends_it(trainings: Trainings, kept: Kept) -> None:
    trainings.start(JOB)
    trainings.stop()
    wait(lambda: not trainings.state.running)
    assert trainings.state.phase in ("stopped", "done")
    assert learn.sentence(trainings.state)


def test_data_that_cannot_be_read_is_a_sentence(tmp_path: Path, kept: Kept) -> None:
    trainings = Trainings(str(tmp_path), kept)
    try:
        trainings.start(Job("cifarnet_nano", "flash", tmp_path.name))
        wait(lambda: not trainings.state.running)
        assert trainings.state.phase == "failed"
        assert "Traceback" not in trainings.state.text
        assert str(tmp_path.name) in trainings.state.text
    finally:
        trainings.close()


def test_a_process_that_dies_is_a_sentence(trainings: Trainings) -> None:
    trainings.start(JOB)
    assert trainings._process is not None
    trainings._process.kill()
    wait(lambda: not trainings.state.running)
    assert "memory" in trainings.state.text
    trainings.start(JOB)  # and the next one can start


def test_a_model_that_cannot_be_used_is_a_sentence() -> None:
    def refuse(folder: Path, job: Job) -> str:
        raise TrainingError("No room for another model.")

    trainings = Trainings(None, refuse)
    try:
        trainings.start(JOB)
        wait(lambda: len(trainings.state.losses) > 0)
        trainings.stop()
        wait(lambda: not trainings.state.running)
        assert trainings.state.phase == "failed"
        assert "No room" in learn.sentence(trainings.state)
    finally:
        trainings.close()


@pytest.mark.parametrize(
    "job",
    [
        Job("resnet50", "tiny", "synthetic"),
        Job("cifarnet_nano", "mine", "synthetic"),
        Job("cifarnet_nano", "tiny", "/etc"),
        Job("cifarnet_nano", "tiny", "uoft-cs/cifar10"),
    ],
)
def test_only_what_is_offered_can_be_trained(trainings: Trainings, job: Job) -> None:
    with pytest.raises(TrainingError, match="Choose a"):
        trainings.start(job)
    assert trainings.state.phase == "idle"


def test_a_folder_is_offered_by_its_last_name_only(tmp_path: Path, kept: Kept) -> None:
    trainings = Trainings(str(tmp_path), kept)
    assert list(trainings.datasets) == ["synthetic", tmp_path.name]
    trainings.close()


APP = """
import sys, time
from web.trainings import Job, Trainings
if __name__ == "__main__":
    trainings = Trainings(None, lambda folder, job: "")
    trainings.start(Job("cifarnet_nano", "release", "synthetic"))
    while not trainings.state.losses: time.sleep(0.05)
    print(trainings._process.pid, trainings._folder.name, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_the_app_however_that_ends(sign: signal.Signals) -> None:
    app = subprocess.Popen(
        [sys.executable, "-c", APP],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert app.stdout is not None
        pid = int(app.stdout.readline().split()[0])
        assert _alive(pid)
        app.send_signal(sign)
        app.wait(20)
        wait(lambda: not _alive(pid), 20)
    finally:
        app.kill()
        app.communicate()


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not fetched does not."""
    status = Path(f"/proc/{pid}/status")
    try:
        if status.parent.parent.joinpath("self").exists():
            return "State:\tZ" not in status.read_text()
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def test_reports_add_up_to_a_state() -> None:
    state = State("reading", JOB)
    state = after(state, "reading", {"done": 1000, "count": 4000})
    assert state.text == "1,000 of 4,000 images read"
    state = after(state, "started", dict(STARTED))
    assert state.phase == "training"
    state = after(state, "step", {"at": 0.5, "loss": 2.0, "speed": 100.0})
    state = after(state, "answers", {"answers": [[["disc", 0.5]]] * 6})
    state = after(state, "epoch", {"epoch": 1, "accuracy": 0.25, "loss": 2.0})
    state = after(state, "step", {"at": 1.5, "loss": 1.0, "speed": 110.0})
    state = after(state, "epoch", {"epoch": None, "accuracy": 0.5, "loss": 1.0})  # stopped
    assert state.losses == ((0.5, 2.0), (1.5, 1.0))
    assert state.accuracies == ((1, 0.25), (1.5, 0.5))
    assert after(state, "unknown", {}) == state


def test_the_page_keeps_its_places_before_anything_is_there() -> None:
    empty, full = learn.view(State()), learn.view(TRAINING)
    for html in (empty, full):
        assert html.count("<svg") == 2
        assert html.count('class="said"') == 6 * 3
        assert html.count('class="blank"') + html.count("<img") == 6
    assert "Nothing has been trained yet" in empty


def test_predictions_on_the_six_pictures_show_right_and_wrong() -> None:
    answers: tuple[Any, ...] = ([["disc", 0.625], ["ring", 0.25], ["star", 0.125]],) * 6
    html = learn.view(State("training", JOB, started=STARTED, answers=answers))
    assert html.count('alt="Picture of disc"') == 1
    assert html.count("disc ✓") == 1  # right for the first picture only
    assert html.count("ring ✓") == 1
    assert html.count("62\N{NO-BREAK SPACE}%") == 6


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State("reading", JOB), "Reading the pictures for cifarnet_nano on synthetic"),
        (TRAINING, "Training cifarnet_nano on synthetic: 1 of 4 epochs done."),
        (State("stopping", JOB), "will be kept"),
        (State("stopped", JOB), "before there was anything to keep"),
        (State("failed", JOB, "The disk is full."), "Not finished. The disk is full."),
    ],
)
def test_every_phase_is_a_sentence(state: State, expected: str) -> None:
    assert expected in learn.sentence(state)


def test_class_names_cannot_bring_markup() -> None:
    started = {**STARTED, "truth": ["<b>x</b>"] * 6}
    html = learn.view(State("training", JOB, started=started, answers=([["<b>x</b>", 1.0]],) * 6))
    assert "<b>x" not in html
