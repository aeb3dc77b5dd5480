"""README's and RELIABILITY's sentences say what the benchmarks' files and the code's limits say."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import reliability, speed
from benchmarks._common import ROOT
from model.hub import release


def told(folder: Path, **files: Any) -> dict[str, str]:
    """The parts of README.md, each item of a list on one line."""
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return {k: v.replace("\n  ", " ") for k, v in release.measured(folder).items()}


def test_recipes_stand_in_the_order_of_their_time(tmp_path: Path) -> None:
    row = {"accuracy": 0.9, "accuracy_stdev": 0.0011, "accuracy_tta_stdev": None, "seeds": 3}
    row |= {"seconds_stdev": 7.6}
    slow = row | {"accuracy_tta": 0.941, "seconds": 1234.4, "share_of_peer": 0.4}
    quick = row | {"accuracy_tta": 0.88, "seconds": 85.2, "share_of_peer": None}
    slowest = slow | {"seconds": 2345, "share_of_peer": 1.172, "seconds_stdev": None}
    content = {
        "peer": "another program",
        "peer_accuracy": 0.9401,
        "peer_seconds": 2000.0,
        "peer_kinds": {"bfloat16": 2000.0, "float32": 3000.0},
        "recipes": {
            "slow": slow | {"peak_memory_mib": 2100.7},
            "slowest": slowest | {"peak_memory_mib": 4000},
            "quick": quick | {"peak_memory_mib": 900},
        },
        "runs": {"slow": [{"resolved": {"mixed_precision": "bf16"}}]},
        "machine": {"cores": 2, "cpu": "Some CPU"},
    }
    text, table = told(tmp_path, speed=content)["recipes"].split("\n\n")
    assert "on 2 cores of Some CPU" in text
    assert "that follow, in\nbfloat16;" in text
    assert table.splitlines()[2:] == [
        "| `quick` | 88.00% | 90.00% ± 0.11 | 85 ± 8 | not measured | 900 MiB | 3 |",
        "| `slow` | 94.10% | 90.00% ± 0.11 | 1,234 ± 8 | 0.40 | 2,101 MiB | 3 |",
        "| `slowest` | 94.10% | 90.00% ± 0.11 | 2,345 | 1.17 | 4,000 MiB | 3 |",
        "| baseline | 94.01% | | 2,000 | 1 | | |",
        "| the same, float32 | | | 3,000 | 1.50 | | |",
    ]
    trained: dict[str, Any] = {"seconds": 2.345, "runs": [[2.3, 0.94]] * 5}
    trained |= {"accuracy_tta": 0.94, "accuracy_tta_stdev": None}
    gpu = {"recipe": "quick", "gpu": "Some GPU", "programs": {"quick": trained}}
    last = told(tmp_path, gpu=gpu)["recipes"].split("\n\n")[-1]
    assert last.startswith("On one Some GPU, `quick` trains in 2.35 s to 94.00%\n")
    assert last.rstrip().endswith("How long the baseline takes there was not measured.")
    gpu["programs"] |= {"another": trained | {"seconds": 2.5}}  # type: ignore[operator]
    last = told(tmp_path, gpu=gpu)["recipes"].split("\n\n")[-1]
    assert last.rstrip().endswith("another, in turn with it: 2.50 s to 94.00%.")


def test_shares_are_of_the_fastest_kind_around_each_run() -> None:
    row = {"accuracy": 0.9, "accuracy_tta": 0.91, "peak_memory_mib": None}
    runs = [
        row | {"seconds": 300.0, "peer_steps": {"bfloat16": [3.0, 2.0, 9.0], "float32": [6.0]}},
        row | {"seconds": 330.0, "peer_steps": {"bfloat16": [5.5], "float32": [5.0]}},
    ]
    found = speed.summary({"quick": runs})
    assert found["peer_kinds"] == {"bfloat16": 200 * 4.25, "float32": 200 * 5.5}
    assert found["peer"] == "airbench94_muon, bfloat16, not compiled"
    assert [run["share_of_peer"] for run in runs] == [0.5, 0.3]
    assert found["recipes"]["quick"]["share_of_peer"] == pytest.approx(0.4)
    alone = speed.summary({"quick": [row | {"seconds": 300.0, "peer_steps": {}}]})
    assert (alone["peer"], alone["peer_seconds"]) == (None, None)
    assert alone["recipes"]["quick"]["share_of_peer"] is None


def test_sentences_of_what_was_measured_and_no_others(tmp_path: Path) -> None:
    assert told(tmp_path) == {}
    startup = {
        "images": 50_000,
        "seconds_to_tensor": [4.0, 9.0, 3.0],
        "seconds_plain_pillow": [8.0, 7.0, 30.0],
    }
    rounds = {"python app.py": [3.0, 1.0, 2.0], "python -m model": [5.0]}
    commands = {"rounds": rounds, "ratios": {"python app.py": 1.25, "python -m model": 2.5}}
    found = told(tmp_path, startup=startup, commands=commands)
    assert found.keys() == {"speed"}
    first, second = found["speed"].splitlines()
    assert first.startswith("- `python app.py` answers after 2.0 s, 1.25 times")
    assert "; `python -m model` answers after 5.0 s, 2.50 times" in first
    assert "50,000 training images are read and decoded in 4.0 s, 2.00 times as fast" in second


TEXT = (ROOT / "RELIABILITY.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_code_writes() -> None:
    assert reliability.written(TEXT) == TEXT


def test_what_is_not_measured_says_so(tmp_path: object) -> None:
    text = reliability.written(TEXT, results=reliability.Path(str(tmp_path)))
    assert text.count(reliability.NOT_MEASURED) == len(reliability.MEASURED)


def test_faults_are_told() -> None:
    measured = {
        "count": 3,
        "slowest_seconds": 2.5,
        "most_mib": 10.0,
        "faults": ["zip bomb: 2.5 s"],
    }
    assert "zip bomb: 2.5 s" in reliability.sentence("hostile", measured)
