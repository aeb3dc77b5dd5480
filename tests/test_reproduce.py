"""`python -m model.evaluation`: reproduces results.json, and says so or says why not."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from torch import Tensor

from model import data, hub
from model.checkpoint import save_checkpoint
from model.evaluation import __main__ as reproduce
from model.evaluation.report import evaluate_split
from model.inference.calibration import Calibration
from model.inference.logits import both_views, predict
from model.recipe import Recipe
from model.utils import files

RECIPE_NETWORK = "cifarnet_nano"


def noise(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)


def saved_results(reports: dict[str, Any]) -> dict[str, Any]:
    return {"dataset": {"fingerprint": {"train": "a", "test": "b"}}, "test": reports}


def test_comparison_with_results() -> None:
    reports = {"plain": {"accuracy": 0.5, "matrix": [[1, 2], [3, 4]]}}
    saved = saved_results(reports)
    assert reproduce.compare(reports, saved, "test", {"test": "b"})["status"] == "identical"
    other = {"plain": {"accuracy": 0.25, "matrix": [[1, 2], [9, 4]]}}
    different = reproduce.compare(other, saved, "test", {"test": "b"})
    assert different["status"] == "different"
    assert different["differences"] == [
        "test.plain.accuracy: 0.25 here, 0.5 in results.json",
        "test.plain.matrix.1.0: 9 here, 3 in results.json",
    ]


@pytest.mark.parametrize(
    ("saved", "split", "fingerprint", "reason"),
    [
        (None, "test", {"test": "b"}, "no results.json"),
        (saved_results({}), "test", {"test": "c"}, "another dataset"),
        (saved_results({}), "train", {"train": "a"}, "no numbers of the train split"),
        ({}, "test", {"test": "b"}, "another dataset"),
    ],
)
def test_impossible_comparisons(
    saved: dict[str, Any] | None, split: str, fingerprint: dict[str, str], reason: str
) -> None:
    comparison = reproduce.compare({"plain": {}}, saved, split, fingerprint)
    assert comparison["status"] == "impossible"
    assert reason in comparison["reason"]


def write_folders(root: Path, names: list[str], **sizes: int) -> str:
    """A dataset of class folders, with `sizes` noise images a class in each split."""
    for split, size in sizes.items():
        for name in names:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i, image in enumerate(noise(size, len(name) * 100 + len(split))):
                Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
    return str(root)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pictures")
    return write_folders(folder, ["alpha", "beta", "gamma"], train=12, test=10)


@pytest.fixture(scope="module")
def trained(pictures: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as train.py writes it, of an untrained network on noise images."""
    directory = tmp_path_factory.mktemp("model")
    source = data.open_dataset(pictures)
    names = list(source.label_names)
    torch.manual_seed(0)
    network = timm.create_model(RECIPE_NETWORK, num_classes=len(names)).eval()
    recipe = Recipe(network=RECIPE_NETWORK, val_size=9, seed=3)
    _, held_back = data.train_validation_split(source.splits["train"].labels, 9, 3)
    fingerprint = {split: source.splits[split].fingerprint for split in ("train", "test")}
    extra = {
        "recipe": recipe.to_dict(),
        "data": {
            "name": source.name,
            "image_column": source.image_column,
            "label_column": source.label_column,
            "image_size": 32,
            "fingerprint": fingerprint["train"],
        },
    }
    validation = source.splits["train"].load(held_back)
    logits = predict(network, validation.images, both_views)[0]  # (N, C)
    calibration = Calibration.fit(logits, validation.labels)
    extra["doubt"] = calibration.to_dict()
    hub.save_pretrained(network, directory, label_names=names, extra=extra)
    results = {
        "dataset": {"name": source.name, "label_names": names, "fingerprint": fingerprint},
        "test": evaluate_split(
            network, source.splits["test"].load(), names, calibration=calibration
        ),
        "validation": evaluate_split(network, validation, names, calibration=calibration),
    }
    files.write_json(directory / "results.json", results)
    return directory


@pytest.mark.parametrize("split", ["test", "validation"])
def test_command_line_reproduces_results(
    trained: Path, pictures: str, split: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reproduce.main([str(trained), "--dataset", pictures, "--split", split, "--device", "cpu"])
    printed = capsys.readouterr().out
    assert "identical to results.json" in printed
    saved = files.read_json(trained / "results.json")
    for view in ("plain", "tta", "calibrated"):
        assert f"{saved[split][view]['accuracy']:.2%}" in printed
        assert f"{saved[split][view]['ece']:.2%}" in printed
    for name in saved["dataset"]["label_names"]:
        assert f"\n{name} " in printed


def test_command_line_lists_differing_numbers(
    trained: Path, pictures: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copytree(trained, tmp_path, dirs_exist_ok=True)
    results = files.read_json(tmp_path / "results.json")
    results["test"]["plain"]["accuracy"] = 2.5
    files.write_json(tmp_path / "results.json", results)
    reproduce.main([str(tmp_path), "--dataset", pictures, "--device", "cpu"])
    printed = capsys.readouterr().out
    assert "1 number(s) differ" in printed
    assert "2.5 in results.json" in printed


def test_command_line_writes_json_and_figures(
    trained: Path, pictures: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    line = [str(trained), "--dataset", pictures, "--device", "cpu", "--json"]
    reproduce.main([*line, "--output", str(out)])
    printed = json.loads(capsys.readouterr().out)
    written = files.read_json(out / "results.json")
    saved = files.read_json(trained / "results.json")
    assert printed.pop("comparison")["status"] == "identical"
    assert printed == written
    assert written["test"] == saved["test"]
    assert len(list((out / "figures").glob("*.png"))) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "no/such/folder/here"], "no/such/folder/here"),
        (["--output", "MODEL"], "is not an empty folder"),
        (["--device", "nonsense"], "--device nonsense"),
        (["--dataset", "OTHER"], "ant, bee (2 in all)"),
    ],
)
def test_command_line_errors_are_messages(
    trained: Path,
    pictures: str,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "OTHER" in arguments:
        write_folders(tmp_path, ["ant", "bee"], train=2, test=2)
    paths = {"MODEL": str(trained), "OTHER": str(tmp_path)}
    arguments = [paths.get(word, word) for word in arguments]
    with pytest.raises(SystemExit) as stop:
        reproduce.main([str(trained), "--dataset", pictures, "--device", "cpu", *arguments])
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err


def test_a_run_knows_where_its_local_dataset_lies(
    trained: Path, pictures: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copytree(trained, tmp_path, dirs_exist_ok=True)
    save_checkpoint(tmp_path, {}, {"data": {"name": pictures}})
    reproduce.main([str(tmp_path), "--device", "cpu"])
    assert "identical to results.json" in capsys.readouterr().out
