"""Models of very many classes, named in every script: saved, loaded, shown, sent and fetched."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hub_fixtures import ID, ROOT, same
from hub_state import Hub

from model import from_pretrained, push_to_hub
from model.evaluation import figures, style
from model.evaluation.confusion import confusions
from model.evaluation.report import report
from model.hub import save_pretrained
from model.hub.pull import pull
from model.utils import files

SCRIPTS = ("قطة", "猫", "кошка", "कुत्ता", "👩\u200d👩\u200d👧", "e\u0301toile", "ship", "a|<b>$x$")


def names_of(classes: int) -> list[str]:
    return [f"{SCRIPTS[i % len(SCRIPTS)]} {i}" for i in range(classes)]


def saved(folder: Path, classes: int, images: int) -> tuple[Path, dict[str, Any]]:
    """A model as a run leaves it, and its results, of guesses that are right now and then."""
    generator, names = torch.Generator().manual_seed(0), names_of(classes)
    labels = torch.randint(0, classes, (images,), generator=generator)
    logits = torch.randn(images, classes, generator=generator)  # (N, C)
    logits[torch.arange(images), labels] += 3
    told = report(logits, labels, names)
    results: dict[str, Any] = json.loads((ROOT / "results.json").read_text(encoding="utf-8"))
    for split in ("test", "validation"):
        confident = results["test"]["calibrated"]["confident"]
        results[split] = {"plain": told, "calibrated": told | {"confident": confident}}
    results["model"]["architecture"] = "cifarnet_nano"
    results["dataset"]["label_names"] = names
    torch.manual_seed(0)
    small: Any = dict(widths=(8, 8, 8), depths=(1, 1, 1))
    network = timm.create_model("cifarnet_nano", num_classes=classes, **small)
    return save_pretrained(network, folder, label_names=names, results=results), results


def test_ten_thousand_names_come_back(tmp_path: Path) -> None:
    folder, results = saved(tmp_path, classes=10_000, images=400)
    names = names_of(10_000)
    config: Any = from_pretrained(folder).pretrained_cfg
    assert list(config["label_names"]) == names
    there = files.read_json(folder / "results.json")
    assert there["test"] == results["test"]
    assert list(there["test"]["plain"]["per_class"]) == names
    rows = confusions(there["test"]["plain"])
    assert len(rows) == 10_000
    assert sum(sum(row.values()) for row in rows) == 400
    card = (folder / "README.md").read_text(encoding="utf-8")
    for name in (*names[:7], "a\\|&lt;b>$x$ 7"):
        assert f"\n| {name} |" in card


def test_a_thousand_classes_are_small_and_come_through_a_hub(hub: Hub, tmp_path: Path) -> None:
    folder, _ = saved(tmp_path / "run", classes=1000, images=5000)
    assert (folder / "results.json").stat().st_size <= 2_000_000
    push_to_hub(folder, ID)
    copy, _ = pull(ID, tmp_path / "copy")
    assert (copy / "results.json").read_bytes() == (folder / "results.json").read_bytes()
    assert same(from_pretrained(copy), from_pretrained(folder))


@pytest.mark.parametrize("classes", [100, 1000])
def test_figures_of_many_classes_name_a_hundred(classes: int) -> None:
    names = names_of(classes)
    labels = torch.arange(classes).repeat(3)
    guessed = torch.where(torch.arange(3 * classes) < 40, (labels + 1) % classes, labels)
    logits = 5 * torch.nn.functional.one_hot(guessed, classes).float()  # (N, C)
    plain = report(logits, labels, names)
    drawn = figures.confusion_matrix(plain, names, "test")
    shown = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert len(shown) == 100
    assert set(names[:41]) <= set(shown)  # those that are confused, and others up to a hundred
    for figure in (drawn, figures.per_class(plain, "test")):
        assert max(figure.get_size_inches()) * style.DPI <= 3000  # pixels
