"""`python -m model.evaluation`: reproduces results.json, and says so or says why not."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from hub_layout import layout

from model.evaluation import __main__ as reproduce
from model.utils import files


def saved_results(reports: dict[str, Any]) -> dict[str, Any]:
    return {"dataset": {"fingerprint": {"train": "a", "test": "b"}}, "test": reports}


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


@pytest.mark.parametrize("split", ["test", "validation"])
def test_command_line_reproduces_results(
    trained: Path, shapes: Path, split: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reproduce.main([str(trained), "--dataset", str(shapes), "--split", split, "--device", "cpu"])
    printed = capsys.readouterr().out
    assert "identical to results.json" in printed
    saved = files.read_json(trained / "results.json")
    for view in ("plain", "calibrated"):
        assert f"{saved[split][view]['accuracy']:.2%}" in printed
        assert f"{saved[split][view]['ece']:.2%}" in printed
    for name in saved["dataset"]["label_names"]:
        assert f"\n{name} " in printed


def test_command_line_lists_differing_numbers(
    trained: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copytree(trained, tmp_path, dirs_exist_ok=True)
    results = files.read_json(trained / "results.json")
    results["test"]["plain"]["accuracy"] = 2.5
    results["test"]["plain"]["confusion_matrix"][1][0] = 99
    files.write_json(tmp_path / "results.json", results)
    reproduce.main([str(tmp_path), "--dataset", str(shapes), "--device", "cpu"])
    printed = capsys.readouterr().out
    assert "2 number(s) differ" in printed
    assert "2.5 in results.json" in printed
    assert "test.plain.confusion_matrix.1.0: " in printed


def test_command_line_writes_json_and_figures_and_knows_where_a_local_dataset_lies(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    reproduce.main([str(trained), "--device", "cpu", "--json", "--output", str(out)])
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
        (["--dataset", "OTHER"], "a, b, c (3 in all)"),
    ],
)
def test_command_line_errors_are_messages(
    trained: Path,
    shapes: Path,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = {"MODEL": str(trained), "OTHER": str(layout(tmp_path / "other"))}
    arguments = [paths.get(word, word) for word in arguments]
    with pytest.raises(SystemExit) as stop:
        reproduce.main([str(trained), "--dataset", str(shapes), "--device", "cpu", *arguments])
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
