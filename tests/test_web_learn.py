"""A training behind the page: one at a time, watched, bounded, and gone when the app is gone."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, SIGKILL
from safetensors.torch import load_file

import model.training
import train
from model.inference.classifier import Classifier
from model.recipe import RECIPES, Recipe
from model.utils.errors import TrainingError
from model.utils.synthetic import NAMES
from web import learn
from web.trainings import Phase, State, TrainingRequest, Trainings
from web.worker import TrainingJob

JOB = TrainingRequest("cifarnet_nano", "tiny", "synthetic")
LONG = TrainingRequest("cifarnet_nano", "release", "synthetic")
STARTED = {
    "images": ["data:image/png;base64,AA=="] * 6,
    "truth": ["disc", "ring", "square", "frame", "triangle", "cross"],
    "train_images": 3600,
    "epochs": 4,
}
LOSSES = ((0.5, 2.0), (1.0, 1.5))
TRAINING = State("training", JOB, started=STARTED, losses=LOSSES, speed=1200.0)


def wait(condition: Callable[[], bool], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


class Kept:
    """Takes trained models, as the page's list of models does."""

    def __init__(self) -> None:
        self.models: list[Classifier] = []

    def __call__(self, folder: Path, what: str) -> str:
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


@pytest.mark.slow
def test_a_training_runs_one_at_a_time_stops_at_will_and_is_kept(
    trainings: Trainings, kept: Kept
) -> None:
    trainings.start(LONG)
    with pytest.raises(TrainingError):
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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe of seconds whose batches are cut into parts."""
    recipe = replace(
        RECIPES["tiny"], name="quick", epochs=2, batch_size=60, gradient_accumulation_steps=3
    )
    monkeypatch.setitem(RECIPES, "quick", recipe)
    monkeypatch.setattr(model.training, "CHECK_EVERY", 1)
    return recipe


def test_a_training_to_its_end_gives_the_weights_of_train_py(
    tmp_path: Path, shapes: Path, quick: Recipe
) -> None:
    request = dict(network="cifarnet_nano", recipe="quick", dataset=str(shapes), longest=600)
    out = io.StringIO()
    TrainingJob({**request, "output": str(tmp_path / "page")}, out).run()
    reports = [json.loads(line) for line in out.getvalue().splitlines()]
    phases = [report["phase"] for report in reports if "phase" in report]
    assert phases == ["training", "saving"]
    state = State("reading", JOB)
    for report in reports:
        state = state.after(report)
    assert len(state.losses) == 2 * (210 // 60)
    assert state.epochs_done == 2
    assert [epoch for epoch, _ in state.accuracies] == [1, 2]
    assert len(state.answers) == len(state.started["truth"]) == 3

    options = ["--dataset", str(shapes), "--network", "cifarnet_nano", "--recipe", "quick"]
    threads = str(torch.get_num_threads())  # which decide in what order sums are taken
    train.main([*options, "--threads", threads, "--output", str(tmp_path / "run")])
    page, run = (load_file(tmp_path / d / "model.safetensors") for d in ("page", "run"))
    assert page.keys() == run.keys()
    for name, weights in run.items():
        torch.testing.assert_close(page[name], weights, msg=name)
    assert Classifier.from_pretrained(tmp_path / "page").label_names == ("cross", "ring", "stripes")


@pytest.mark.slow
def test_the_time_limit_stops_and_keeps(kept: Kept) -> None:
    trainings = Trainings(None, kept, longest=0)  # reached after the first step
    trainings.start(LONG)
    wait(lambda: not trainings.state.running)
    trainings.close()
    assert trainings.state.phase == "done", trainings.state.text
    assert "Stopped by the time limit after 0.3 of" in learn.sentence(trainings.state)
    assert len(kept.models) == 1


@pytest.mark.slow
def test_stopping_before_the_first_step_ends_it(trainings: Trainings) -> None:
    trainings.start(JOB)
    trainings.stop()
    wait(lambda: not trainings.state.running)
    assert trainings.state.phase in ("stopped", "done")
    assert learn.sentence(trainings.state)


@pytest.mark.slow
def test_data_that_cannot_be_read_is_a_sentence(tmp_path: Path, kept: Kept) -> None:
    trainings = Trainings(str(tmp_path), kept)
    try:
        trainings.start(TrainingRequest("cifarnet_nano", "flash", tmp_path.name))
        wait(lambda: not trainings.state.running)
        assert trainings.state.phase == "failed"
        assert "Traceback" not in trainings.state.text
        assert tmp_path.name in trainings.state.text
    finally:
        trainings.close()


@pytest.mark.slow
def test_a_process_that_dies_is_a_sentence(trainings: Trainings) -> None:
    trainings.start(JOB)
    assert trainings._process is not None
    trainings._process.kill()
    wait(lambda: not trainings.state.running)
    assert "memory" in trainings.state.text
    trainings.start(JOB)  # and the next one can start


def test_a_model_that_cannot_be_used_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path, what: str) -> str:
        raise TrainingError("No room for another model.")

    saves = """print('{"phase": "saving"}')"""
    trainings = Trainings(None, refuse)
    monkeypatch.setattr(
        trainings,
        "_spawn",
        lambda request: subprocess.Popen(
            [sys.executable, "-c", saves], stdin=-1, stdout=-1, text=True
        ),
    )
    trainings.start(JOB)
    wait(lambda: not trainings.state.running)
    assert trainings.state.phase == "failed"
    assert "No room" in learn.sentence(trainings.state)
    trainings.close()


@pytest.mark.parametrize(
    "names",
    [
        ("resnet50", "tiny", "synthetic"),
        ("cifarnet_nano", "mine", "synthetic"),
        ("cifarnet_nano", "tiny", "/etc"),
        ("cifarnet_nano", "tiny", "uoft-cs/cifar10"),
    ],
)
def test_only_what_is_offered_can_be_trained(
    trainings: Trainings, names: tuple[str, str, str]
) -> None:
    with pytest.raises(TrainingError):
        trainings.start(TrainingRequest(*names))
    assert trainings.state.phase == "idle"


def test_a_folder_is_offered_by_its_last_name_only(tmp_path: Path, kept: Kept) -> None:
    trainings = Trainings(str(tmp_path), kept)
    assert list(trainings.datasets) == ["synthetic", tmp_path.name]
    trainings.close()


APP = """
import sys, time
from web.trainings import TrainingRequest, Trainings
if __name__ == "__main__":
    trainings = Trainings(None, lambda folder, request: "")
    trainings.start(TrainingRequest("cifarnet_nano", "release", "synthetic"))
    while not trainings.state.losses: time.sleep(0.05)
    print(trainings._process.pid, trainings._folder.name, flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("sign", [SIGKILL, signal.SIGTERM, signal.SIGINT])
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
    for report in (
        {"text": "1,000 of 4,000 images read"},
        {"phase": "training", "started": STARTED},
        {"losses": (0.5, 2.0), "speed": 100.0},
        {"answers": [[["disc", 0.5]]] * 6},
        {"accuracies": (1, 0.25)},
        {"losses": (1.5, 1.0), "speed": 110.0},
        {"accuracies": (1.5, 0.5)},  # stopped
    ):
        state = state.after(report)
    assert state.phase == "training"
    assert state.losses == ((0.5, 2.0), (1.5, 1.0))
    assert state.accuracies == ((1, 0.25), (1.5, 0.5))


def test_the_page_keeps_its_places_before_anything_is_there() -> None:
    empty, full = learn.view(State()), learn.view(TRAINING)
    for html in (empty, full):
        assert html.count("<svg") == 2
        assert html.count('class="said"') == 6 * 3
        assert html.count('class="blank"') + html.count("<img") == 6
    assert "about 9 s left" in full  # 3 of 4 epochs of 3,600 images at 1,200 a second


def test_predictions_on_the_six_pictures_show_right_and_wrong() -> None:
    answers: tuple[Any, ...] = ([["disc", 0.625], ["ring", 0.25], ["<b>x</b>", 0.125]],) * 6
    html = learn.view(State("training", JOB, started=STARTED, answers=answers))
    assert html.count('alt="Picture of disc"') == 1
    assert html.count("disc ✓") == 1  # right for the first picture only
    assert html.count("ring ✓") == 1
    assert html.count("62\N{NO-BREAK SPACE}%") == 6
    assert "<b>x" not in html


@pytest.mark.parametrize(
    "phase", ["reading", "stopping", "saving", "training", "failed", "stopped"]
)
def test_every_phase_is_a_sentence(phase: Phase) -> None:
    said = learn.sentence(replace(TRAINING, phase=phase, text="The disk is full."))
    assert ("cifarnet_nano on synthetic" in said) is (phase in ("reading", "training"))
    assert ("The disk is full." in said) is (phase == "failed")
    assert ("1 of 4 epochs" in said) is (phase == "training")
