"""README.md and the code cannot drift apart: its commands run, its numbers are results.json's."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import hub_server
import pytest
from conftest import ROOT
from hub_state import WRITER, Hub
from huggingface_hub import RepoCard
from pages import served

from model.hub import release
from model.recipe import RECIPES, Recipe

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
HAND_WRITTEN = TEXT.split("<!-- card -->")[0]
QUESTIONS = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", HAND_WRITTEN, re.DOTALL)
    for line in block.strip().splitlines()
]
PROGRAMS = [line for line in COMMANDS if not line.startswith("pip install")]
CODE = re.findall(r"```python\n(.*?)```", HAND_WRITTEN + QUESTIONS, re.DOTALL)


def test_the_two_commands_that_set_everything_up_come_first() -> None:
    assert COMMANDS[:2] == ["pip install -r requirements.txt", "python app.py"]


def test_ci_installs_and_tests_as_said_here() -> None:
    said = [line for line in COMMANDS if " && " in line]
    found = re.search(r"grep -m1 -E '([^']+)'", (ROOT / ".ci" / "run").read_text())
    assert found
    assert [line for line in TEXT.splitlines() if re.search(found[1], line)] == said
    assert said[0].endswith(' && pytest -n auto -m "not slow"')


@pytest.mark.parametrize("code", CODE, ids=range(len(CODE)))
def test_every_python_example_runs(
    code: str, hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: (ROOT / name).read_bytes() for name in ("config.json", "model.safetensors")}
    repo = hub.add("you/cifarnet-small", files)
    repo.tags["v1"] = repo.refs["main"]
    monkeypatch.chdir(ROOT)
    exec(code.replace("runs/NAME", str(tiny)), {})


@pytest.mark.slow
@pytest.mark.parametrize("command", PROGRAMS)
def test_every_command_runs(command: str, shapes: Path, trained: Path, tmp_path: Path) -> None:
    command = filled_in(command, shapes, trained, tmp_path)
    if command.startswith("python app.py"):
        with served(*shlex.split(command)[2:]) as url, urllib.request.urlopen(url) as answer:
            assert "cifarnet" in answer.read().decode()
        return
    command = re.sub(r"^accelerate launch", "python -m accelerate.commands.launch --cpu", command)
    command = re.sub(r"^python", shlex.quote(sys.executable), command)
    if "--push-to-hub" in command or re.search(r"model\.hub pu", command):
        with hub_server.running() as hub:
            send_or_fetch(command, hub, trained, tmp_path)
        return
    done = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def filled_in(command: str, shapes: Path, trained: Path, tmp_path: Path) -> str:
    """A command with what a reader puts in, and with a training that takes seconds."""
    if command.startswith("accelerate launch"):
        if "--dataset" not in command:
            command += f" --dataset {shapes} --network cifarnet_nano --batch-size 40"
            command += " --gradient-accumulation-steps 1 --val-size -1"
        command += f" --epochs 1 --output {tmp_path / 'run'}"
    command = command.replace("model.evaluation .", f"model.evaluation {trained}")
    put_in = {
        "my_photos": shapes / "train",  # nothing but a folder for each class
        "DIR_OR_ID": shapes,
        "uoft-cs/cifar100": "synthetic",
        "runs/NAME": trained,
        "runs/mine": trained,
        "DIR": tmp_path / "copy",
        "cifarnet.onnx": tmp_path / "cifarnet.onnx",
    }
    return " ".join(str(put_in.get(word, word)) for word in command.split())


def send_or_fetch(command: str, hub: Hub, trained: Path, tmp_path: Path) -> None:
    """Runs a command against a hub on this machine."""
    home = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
    env = {**os.environ, **home, "HF_TOKEN": WRITER, "HF_HUB_DISABLE_XET": "1"}
    if " pull " in command:
        names = ("config.json", "model.safetensors")
        repo = hub.add("you/cifarnet-small", {n: (trained / n).read_bytes() for n in names})
        repo.tags["v1"] = repo.refs["main"]
    done = subprocess.run(
        command, shell=True, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    if " pull " in command:
        assert (tmp_path / "copy" / "model.safetensors").is_file()
    elif "push-space" in command:
        assert "app.py" in hub.repos["space", "you/cifarnet-demo"].files
    else:
        assert "model.safetensors" in hub.repos["model", "you/cifarnet-small"].files


def test_every_file_named_exists() -> None:
    tables = [line for line in HAND_WRITTEN.splitlines() if line.startswith("|")]
    names = [n for line in tables for n in re.findall(r"`([\w/]+(?:\.py|/))`", line)]
    assert len(names) > 10
    for name in names:
        assert (ROOT / name).exists(), name
    for page in ("README.md", "RELIABILITY.md", "CONTRIBUTING.md", "docs/questions.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for linked in re.findall(r"\]\(([^:)#]+)(?:#[^)]*)?\)", text):
            assert ((ROOT / page).parent / linked).exists(), linked


def test_measured_parts_are_what_the_code_writes() -> None:
    assert release.readme(ROOT) == TEXT


def test_the_folder_is_a_space_and_stays_one() -> None:
    for text in (TEXT, release.readme(ROOT)):
        front = RepoCard(text).data.to_dict()
        assert front["sdk"] == "gradio"
        assert (ROOT / front["app_file"]).is_file()
        assert len(front["short_description"]) <= 60
        assert {"title", "emoji", "colorFrom", "colorTo", "pinned", "python_version"} <= set(front)
        wanted = re.search(r"gradio>=(\d+)\.(\d+)", (ROOT / "requirements.txt").read_text())
        assert wanted
        found = map(int, front["sdk_version"].split("."))
        assert (*found,) >= tuple(map(int, wanted.groups()))
        assert front["library_name"] == "timm"


def test_the_default_weights_were_trained_by_the_recipe_that_readme_names() -> None:
    used = json.loads((ROOT / "results.json").read_text())["training"]["recipe"]
    assert used["val_size"] == RECIPES["release"].val_size
    assert is_recipe(used, "release")


@pytest.mark.parametrize("name", ["flash", "default"])
def test_the_recipes_accuracy_is_the_mean_of_its_runs(name: str) -> None:
    runs = json.loads((ROOT / "benchmarks/results/speed.json").read_text())["runs"][name]
    accuracies = [run["accuracy_tta"] for run in runs]
    assert len({run["seed"] for run in runs}) == len(runs) >= 3
    assert f"| `{name}` | {100 * sum(accuracies) / len(accuracies):.2f}%" in TEXT
    for run in runs:
        assert is_recipe(run["resolved"], name), "of an older recipe"


def is_recipe(used: dict[str, Any], name: str) -> bool:
    """Whether a run used a recipe as it is today, but for what each run decides for itself."""
    own = {"seed": 0} | {key: used[key] for key in ("val_size", "mixed_precision")}
    return Recipe.from_dict(used | own) == Recipe.from_dict(RECIPES[name].to_dict() | own)


def test_a_release_takes_a_runs_model_to_the_root(trained: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    release.release(trained, tmp_path)
    for name in ("config.json", "model.safetensors", "results.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()
    text = (tmp_path / "README.md").read_text()
    assert "stripes" in text
    assert "## Classify pictures" in text
