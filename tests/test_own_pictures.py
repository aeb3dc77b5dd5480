"""A few pictures of one's own: looked through first, then taught to a network that is there."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Here
from test_training import RECIPE, Stripes, trainer
from tiny_model import NAMES as FIVE
from tiny_model import make_network

import train
from model import options
from model.hub import from_pretrained, save_pretrained
from model.inference.classifier import Classifier
from model.recipe import FEW, RECIPES, DataOptions, for_few_images

SHORT = ["--epochs", "10", "--batch-size", "40"]


@pytest.fixture
def two(shapes: Path, tmp_path: Path) -> Path:
    """Forty pictures each of two of the three shapes, without a split, in another order."""
    for name, of in (("a ring", "ring"), ("cross", "cross")):
        (tmp_path / "two" / name).mkdir(parents=True)
        for path in sorted((shapes / "train" / of).iterdir())[:40]:
            shutil.copy(path, tmp_path / "two" / name)
    return tmp_path / "two"


def test_a_trained_network_goes_on_with_other_classes(
    two: Path, trained: Path, train_here: Here, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    code, said, errors = train_here(
        "--dataset", two, "--init-from", trained, "--output", run, *SHORT
    )
    assert code == 0, errors
    assert "67 images are few: the recipe is small" in said
    config = json.loads((run / "config.json").read_text())
    assert config["architecture"] == "cifarnet_nano"
    assert config["label_names"] == ["a ring", "cross"]
    assert config["cifarnet"]["data"]["init_from"] == trained.name
    recipe = config["cifarnet"]["recipe"]
    assert (recipe["name"], recipe["epochs"], recipe["val_size"]) == ("small", 10, 13)
    before: Any = from_pretrained(trained)
    after: Any = from_pretrained(run)
    for name in ("mean", "std"):  # what its filters were trained for
        assert after.pretrained_cfg[name] == before.pretrained_cfg[name]
    assert torch.equal(after.stem.conv.weight, before.stem.conv.weight)
    assert after.head.fc.out_features == 2
    # Ten steps, from what was learned of three shapes: chance would be a half.
    assert json.loads((run / "results.json").read_text())["test"]["plain"]["accuracy"] > 0.8
    # Though only 13 images were held back, it can answer that it does not know.
    assert Classifier.from_pretrained(run).calibration.known is not None


def test_the_same_classes_keep_their_classifier(
    shapes: Path, trained: Path, train_here: Here, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    still = ["--head-learning-rate", "0", "--epochs", "1", "--ema-decay", "0"]
    code, _, errors = train_here(
        "--dataset", shapes, "--init-from", trained, "--output", run, *still
    )
    assert code == 0, errors
    before: Any = from_pretrained(trained)
    after: Any = from_pretrained(run)
    assert torch.equal(before.head.fc.weight, after.head.fc.weight)


def test_a_frozen_network_learns_only_its_classifier(
    two: Path, trained: Path, train_here: Here, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    code, _, errors = train_here(
        "--dataset", two, "--init-from", trained, "--freeze", "--output", run, *SHORT
    )
    assert code == 0, errors
    before, after = (from_pretrained(model).state_dict() for model in (trained, run))
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["head.fc.weight"]
    assert json.loads((run / "results.json").read_text())["test"]["plain"]["accuracy"] > 0.8


def test_another_network_of_timm_is_trained_and_used_like_ours(
    two: Path, train_here: Here, tmp_path: Path
) -> None:
    run, further = tmp_path / "run", tmp_path / "further"
    code, _, errors = train_here(
        "--dataset", two, "--network", "test_resnet", "--output", run, *SHORT
    )
    assert code == 0, errors
    config = json.loads((run / "config.json").read_text())
    assert config["architecture"] == "test_resnet"
    # Its own mean, not the pictures'; its own size, as far as images here may be that large.
    assert config["pretrained_cfg"]["mean"] == [0.5, 0.5, 0.5]
    assert config["pretrained_cfg"]["input_size"] == [3, 96, 96]
    classify = Classifier.from_pretrained(run)
    picture = next((two / "cross").iterdir())
    assert classify(picture).label in ("a ring", "cross")
    assert classify.explain(picture).heat.shape == (96, 96)
    assert classify.calibration.known is not None
    again = ("--dataset", two, "--init-from", run, "--output", further, "--epochs", "1")
    assert train_here(*again)[0] == 0
    assert json.loads((further / "config.json").read_text())["architecture"] == "test_resnet"


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ("--network resnet81", "resnet18"),
        ("--network test_maxvit --image-size 32", "no images of 32 pixels"),
        ("--network test_vit --image-size 32", "img_size"),
        ("--freeze", "--init-from"),
        ("--init-from TRAINED/nothing", "nothing"),
        (
            "--init-from TRAINED --network cifarnet_base",
            "is a cifarnet_nano; leave out --network or --init-from",
        ),
    ],
)
def test_what_does_not_fit_is_told_before_training(
    wish: str, why: str, two: Path, trained: Path, train_here: Here
) -> None:
    words = [word.replace("TRAINED", str(trained)) for word in wish.split()]
    code, said, errors = train_here("--dataset", two, *words)
    assert code == 2
    assert why in errors
    assert "images to train on" not in said


def test_an_interrupted_training_goes_on_with_the_saved_networks_own_arguments(
    two: Path, train_here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout, and a shape that its name does not tell."""
    save_pretrained(make_network(drop_rate=0.5), tmp_path / "saved", label_names=FIVE)
    arguments = ("--dataset", two, "--init-from", tmp_path / "saved", *SHORT)
    assert train_here(*arguments, "--output", tmp_path / "whole")[0] == 0
    save = train.Run.save

    def stop(run: train.Run) -> None:
        save(run)
        if run.trainer.epochs_done == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(train.Run, "save", stop)
    assert train_here(*arguments, "--output", tmp_path / "cut")[0] == 130
    monkeypatch.undo()
    assert train_here("--resume", tmp_path / "cut")[0] == 0
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_recipe_for_few_images_is_chosen_unless_one_is_named() -> None:
    asked = options.parse(["--dataset", "d", "--epochs", "7"])
    small, large = asked.plan_for(FEW)[0], asked.plan_for(FEW + 1)[0]
    assert small == dataclasses.replace(RECIPES["small"], epochs=7)
    assert large == dataclasses.replace(RECIPES["default"], epochs=7, batch_size=80)
    assert asked.plan_for(5_000)[0].batch_size == 240  # a twentieth, but 80 at a time
    assert asked.plan_for(50_000)[0].batch_size == 2_000
    assert options.parse(["--batch-size", "60"]).plan_for(5_000)[0].batch_size == 60
    for named in (["--recipe", "flash"], ["--dataset", "synthetic"]):
        assert options.parse(named).plan_for(10)[0] == options.parse(named).recipe


def test_few_images_are_trained_on_longer_than_many_and_beside_generated_ones() -> None:
    new, mine = DataOptions("d"), DataOptions("d", init_from="m")
    assert [for_few_images(n, mine)[0].epochs for n in (60, 133, 250, 2_000)] == [30, 30, 16, 8]
    assert [for_few_images(n, mine)[0].learning_rate for n in (133, 134)] == [0.05, 0.02]
    assert for_few_images(2_000, new)[0].epochs == RECIPES["small"].epochs
    assert for_few_images(60, mine, epochs=5)[0].epochs == 5
    assert for_few_images(60, mine)[1].outliers == "synthetic"
    assert for_few_images(60, DataOptions("d", outliers="o"))[1].outliers == "o"
    assert for_few_images(60, DataOptions("synthetic"))[1].outliers is None


def test_balanced_weights_are_the_gradient_of_balanced_classes() -> None:
    """Three images of one class count as much as one of the other, given three times."""
    images, labels = Stripes().images, Stripes().labels  # by turns of class 0 and 1
    run = trainer(dataclasses.replace(RECIPE, translate=0, cutout=0))
    run.network.eval()  # whose statistics would tell one picture from three
    losses, gradients = [], []
    for rows, weights in (([0, 2, 4, 1], (2 / 3, 2.0)), ([0, 2, 4, 1, 1, 1], (1.0, 1.0))):
        run.class_weights = torch.tensor(weights)
        run.network.zero_grad()
        losses.append(run._gradients(images[rows], labels[rows], 32, len(rows)).item())
        gradients.append(run.network.head.fc.weight.grad.clone())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


def test_balanced_weights_come_from_the_images_that_are_trained_on(
    shapes: Path, tmp_path: Path, train_here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tmp_path / "few"
    for name, count in (("cross", 60), ("ring", 20)):
        (few / name).mkdir(parents=True)
        for path in sorted((shapes / "train" / name).iterdir())[:count]:
            shutil.copy(path, few / name)
    seen: list[Any] = []
    build: Any = train.build_trainer

    def look(*args: Any, **options: Any) -> Any:
        seen.append(build(*args, **options))
        return seen[-1]

    monkeypatch.setattr(train, "build_trainer", look)
    flags = ["--network", "cifarnet_nano", "--epochs", "1", "--class-weights", "balanced"]
    code, _, errors = train_here("--dataset", few, "--output", tmp_path / "run", *flags)
    assert code == 0, errors
    # Of 67 images to train on, a sixth having gone to the test split, a fifth to validation.
    assert seen[0].class_weights.tolist() == pytest.approx([27 / 40, 27 / 14], abs=0.1)


def test_check_data_tells_all_of_a_dataset(two: Path, train_here: Here) -> None:
    (two / "cross" / "bad.png").write_bytes(b"no picture")
    shutil.copy(two / "a ring" / "000.png", two / "cross" / "twin.png")
    code, said, errors = train_here("--dataset", two, "--check-data")
    assert code == 2
    assert "cannot be read: repair or remove them" in errors
    assert "bad.png: The image is not a picture" in said
    (row,) = [line.split() for line in said.splitlines() if line.startswith("cross ")]
    assert sum(map(int, row[1:])) == 42
    assert "1 images lie in two splits or classes" in said
    assert "twin.png" in said
    assert "32 x 32" in said
    code, said, _ = train_here("--dataset", two, "--check-data", "--max-bad-images", "1")
    assert code == 0
    assert said.endswith("This dataset can be trained on; the recipe would be small.\n")


def test_check_data_tells_of_empty_folders_and_of_classes_without_test_images(
    two: Path, train_here: Here
) -> None:
    (two / "star").mkdir()
    for path in sorted((two / "cross").iterdir())[2:]:
        path.unlink()
    code, said, errors = train_here("--dataset", two, "--check-data")
    assert code == 0, errors
    assert "Not used, being empty folders: star (1 in all)" in said
    assert "No test image of cross" in said
    assert "All can be read" in said
