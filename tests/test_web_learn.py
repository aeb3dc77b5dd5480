"""A training behind the page: queued, watched, bounded, and gone when the app is gone."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import load_file
from tiny_model import NAMES as FIVE
from tiny_model import make_network
from watched import until

import model.training
import train
from model import options
from model.hub import save_pretrained
from model.inference.classifier import Classifier
from model.recipe import RECIPES, Recipe
from model.utils import files
from model.utils.synthetic import NAMES
from web import learn
from web import trainings as module
from web.trainings import Phase, State, Training, Trainings
from web.worker import TrainingJob

TITLE, SHAPES = "drawn shapes", {"dataset": "synthetic"}
STARTED = {
    "names": ["disc", "ring", "square", "frame", "triangle", "cross"],
    "images": ["data:image/png;base64,AA=="] * 6,
    "truth": ["disc", "ring", "square", "frame", "triangle", "cross"],
    "train_images": 3600,
    "epochs": 4,
}
LOSSES = ((0.5, 2.0), (1.0, 1.5))
TRAINING = State("training", TITLE, started=STARTED, losses=LOSSES, speed=1200.0)


@pytest.fixture
def trainings() -> Iterator[Trainings]:
    trainings = Trainings()
    yield trainings
    trainings.close()


class Kept(list[bool]):
    """Notes ends of trainings: whether there was a model."""

    def training(self, folder: Path, options: dict[str, str] = SHAPES) -> Training:
        return Training(TITLE, folder / "model", options, self.append)


Spawned = Callable[[list[str]], None]


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> Spawned:
    """Has a command run in the place of training."""

    def use(command: list[str]) -> None:
        spawn = lambda _: subprocess.Popen(command, stdin=-1, stdout=-1, text=True)  # noqa: E731
        monkeypatch.setattr(Training, "_spawn", spawn)

    return use


def says(phase: str, seconds: int) -> list[str]:
    """A program that reports a phase, sleeps and ends."""
    code = f'import time; print(\'{{"phase": "{phase}"}}\', flush=True); time.sleep({seconds})'
    return [sys.executable, "-c", code]


def test_trainings_wait_for_their_turn_in_order(
    tmp_path: Path, trainings: Trainings, spawned: Spawned
) -> None:
    spawned(says("saving", 600))
    ends = Kept()
    first, second, third = (ends.training(tmp_path) for _ in range(3))
    for one in (first, second, third):
        trainings.add(one)
    until(lambda: first.state.phase == "saving")
    assert [trainings.ahead(one) for one in (first, second, third)] == [0, 1, 2]
    assert third.state.phase == "waiting"
    second.stop()  # whoever does not want to wait any longer
    assert second.state.phase == "stopped"
    assert trainings.ahead(third) == 1
    spawned(says("saving", 0))
    first.kill()
    until(lambda: third.state.phase == "done")
    assert first.state.phase == "failed"
    assert second.state.phase == "stopped"
    assert ends == [False, False, True]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], "memory"),
        ([sys.executable, "-c", "print('{\"pha', end='')"], "ended early"),  # amid a report
        (["/no/such/program"], "No such file"),
    ],
)
def test_a_process_that_dies_or_cannot_start_is_a_sentence_and_others_follow(
    command: list[str], words: str, tmp_path: Path, trainings: Trainings, spawned: Spawned
) -> None:
    spawned(command)
    ends = Kept()
    for one in (ends.training(tmp_path), ends.training(tmp_path)):
        trainings.add(one)
        until(lambda one=one: not one.state.running)  # type: ignore[misc]
        assert one.state.phase == "failed"
        assert words in one.state.text
    assert ends == [False, False]


def test_closing_ends_all_and_begins_none(
    tmp_path: Path, trainings: Trainings, spawned: Spawned
) -> None:
    spawned(says("training", 600))
    first, second = (Kept().training(tmp_path) for _ in range(2))
    trainings.add(first)
    trainings.add(second)
    until(lambda: first.state.phase == "training")
    trainings.close()
    until(lambda: not first.state.running)
    assert second.state.phase == "stopped"
    assert second._process is None


@pytest.mark.slow
def test_a_training_stops_at_will_and_is_kept(tmp_path: Path, trainings: Trainings) -> None:
    ends = Kept()
    training = ends.training(tmp_path)
    trainings.add(training)
    until(lambda: len(training.state.losses) > 2 and bool(training.state.answers), 240)
    state = training.state
    assert state.phase == "training"
    assert len(state.started["images"]) == len(state.answers) == 6
    assert len(set(state.started["truth"])) == 6  # six classes
    assert all(1 >= p >= 0 for answer in state.answers for _, p in answer)
    training.stop()
    until(lambda: not training.state.running, 240)
    state = training.state
    assert state.phase == "done", state.text
    assert ends == [True]
    assert 0 < state.epochs_done < state.started["epochs"]
    assert Classifier.from_pretrained(training.output).label_names == NAMES
    results = files.read_json(training.output / "results.json")
    assert results["test"]["plain"]["count"] == 1000
    assert results["training"]["epochs"][-1]["epoch"] == round(state.epochs_done, 2)
    assert "Stopped after" in learn.sentence(state)


@pytest.mark.slow
def test_the_time_limit_stops_and_keeps(
    tmp_path: Path, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST", 0)  # reached after the first step
    training = Kept().training(tmp_path)
    trainings.add(training)
    until(lambda: not training.state.running, 240)
    assert training.state.phase == "done", training.state.text
    assert "Stopped by the time limit after 0.0 of" in learn.sentence(training.state)
    assert (training.output / "model.safetensors").is_file()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe of seconds whose batches are cut into parts."""
    recipe = replace(
        RECIPES["tiny"], name="quick", epochs=2, batch_size=60, gradient_accumulation_steps=3
    )
    monkeypatch.setitem(RECIPES, "quick", recipe)
    monkeypatch.setattr(model.training, "CHECK_EVERY", 1)
    return recipe


@pytest.mark.parametrize("begin", [False, True])
def test_a_training_to_its_end_gives_the_weights_of_train_py(
    tmp_path: Path, shapes: Path, quick: Recipe, begin: bool
) -> None:
    source = str(tmp_path / "begin") if begin else None
    if source:
        save_pretrained(make_network(), source, label_names=FIVE)
    asked = ["--dataset", str(shapes), "--recipe", "quick"]
    asked += ["--init-from", source] if source else []
    out = io.StringIO()
    TrainingJob(600, options.parse([*asked, "--output", str(tmp_path / "page")]), out).run()
    reports = [json.loads(line) for line in out.getvalue().splitlines()]
    phases = [report["phase"] for report in reports if "phase" in report]
    assert phases == ["training", "saving"]
    state = State("reading", TITLE)
    for report in reports:
        state = state.after(report)
    assert len(state.losses) == 2 * (192 // 60)
    assert state.epochs_done == 2
    assert [epoch for epoch, _ in state.accuracies] == [1, 2]
    assert len(state.answers) == len(state.started["truth"]) == 6
    assert sum(map(sum, state.confusions)) == 48  # images held back

    threads = str(torch.get_num_threads())  # which decide in what order sums are taken
    train.main([*asked, "--threads", threads, "--output", str(tmp_path / "run")])
    page, run = (load_file(tmp_path / d / "model.safetensors") for d in ("page", "run"))
    assert page.keys() == run.keys()
    for name, weights in run.items():
        torch.testing.assert_close(page[name], weights, msg=name)
    told, known = (files.read_json(tmp_path / d / "results.json") for d in ("page", "run"))
    assert told["test"] == known["test"]
    assert told["training"]["recipe"] == known["training"]["recipe"]
    assert (tmp_path / "page" / "README.md").is_file()


@pytest.mark.slow
def test_it_ends_when_the_app_has_ended(tmp_path: Path) -> None:
    """However that ends, the system closes the pipe that the worker's input is."""
    training = Kept().training(tmp_path, SHAPES | {"recipe": "release"})
    with training._spawn() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline()  # it is at work
        process.stdin.close()
        assert process.wait(20) == 1


def test_what_it_says_to_six_pictures_and_confuses_is_shown() -> None:
    # 3 of 4 epochs of 3,600 images at 1,200 a second.
    assert "about 9 s left" in learn.view(TRAINING)
    answers: tuple[Any, ...] = ([["disc", 0.625], ["ring", 0.25], ["<b>x</b>", 0.125]],) * 6
    counts = tuple([0] * i + [7] + [0] * (5 - i) for i in range(6))
    state = State("training", started=STARTED, answers=answers, confusions=counts)
    html = learn.view(state)
    assert html.count('alt="Picture of disc"') == 1
    assert html.count("disc ✓") == 1  # right for the first picture only
    assert html.count("ring ✓") == 1
    assert html.count("62\N{NO-BREAK SPACE}%") == 6
    assert "<b>x" not in html
    assert html.count(">7<") == 6
    assert "of 42 pictures held back" in html
    assert "<button" not in html  # nothing answers to a press


@pytest.mark.parametrize("phase", [one for one in get_args(Phase) if one != "idle"])
def test_every_phase_is_a_sentence(phase: Phase) -> None:
    state = replace(TRAINING, phase=phase, text="The disk is full.")
    said = learn.sentence(state, 3, "8 of 9 right.")
    assert ("drawn shapes" in said) is (phase in ("reading", "training"))
    assert ("The disk is full." in said) is (phase == "failed")
    assert ("1 of 4 rounds" in said) is (phase == "training")
    assert ("number 4 in the queue" in said) is (phase == "waiting")
    assert ("8 of 9 right." in said) is (phase == "done")
