"""The package `cifarnet`: what it holds, what it needs, and that it works far from any checkout."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from hub_fixtures import ID
from hub_state import WRITER
from pages import served

SHIP = ROOT / "examples" / "ship.png"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
NEEDED = ("huggingface_hub", "numpy", "pi-heif", "pillow", "safetensors", "timm", "torch")
# What `pip install cifarnet` does not bring; torch and timm ask whether some of it is there.
EXTRAS = {
    *("accelerate", "datasets", "evaluate", "matplotlib", "cv2", "pyarrow"),
    *("captum", "gradio", "prometheus_client", "onnx", "onnxscript", "sklearn", "pandas"),
}

Installed = Callable[..., "subprocess.CompletedProcess[str]"]


def test_it_needs_little_and_the_rest_stands_in_requirements_too() -> None:
    lines = {
        line
        for name in ("requirements.txt", "tests/requirements.txt")
        for line in (ROOT / name).read_text().splitlines()
    }
    asked = {p for extra in PROJECT["optional-dependencies"].values() for p in extra}
    asked |= set(PROJECT["dependencies"])
    assert {p for p in asked if not p.startswith("cifarnet[")} <= lines
    wanted = set((ROOT / "requirements.txt").read_text().splitlines()[1:])
    assert wanted <= asked
    assert tuple(re.split(r"[><=]", p)[0] for p in PROJECT["dependencies"]) == NEEDED


def test_it_lists_every_folder_and_every_kind_of_file() -> None:
    folders = {
        ".".join(("cifarnet", *path.parent.relative_to(ROOT).parts)).replace(".model", "")
        for top in ("model", "web")
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert folders == set(SETTINGS["packages"])
    patterns = SETTINGS["package-data"]["*"]
    for top in ("model", "web"):
        for path in (ROOT / top).rglob("*"):
            if path.is_dir() or path.suffix in (".py", ".pyc"):
                continue
            near = (path.name, f"{path.parent.name}/{path.name}")
            assert any(Path(name).match(pattern) for name in near for pattern in patterns), path


def test_its_own_imports_are_relative() -> None:
    for path in (ROOT / "model").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not [n for n in names if n.split(".")[0] in ("model", "web", "train")], path


@pytest.mark.parametrize("command", ["train.py", "app.py", "-m model"])
def test_help_answers_at_once(command: str) -> None:
    seconds = []
    for _ in range(3):  # processor time: others may be at work on this machine
        before = os.times()
        line = [sys.executable, *command.split(), "--help"]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
        user, system = (b - a for a, b in zip(before[2:4], os.times()[2:4], strict=True))
        seconds.append(user + system)
        assert "usage: " in done.stdout
    assert min(seconds) < 0.5


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the packages that are here, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    line = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w"]
    done = subprocess.run([*line, str(folder), str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of programs that find the installed package, and no checkout."""
    target = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(target)]
    done = subprocess.run([*line, str(wheel)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = f"{target / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PYTHONPATH": str(target), "PATH": path, "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def installed(environment: dict[str, str], tmp_path: Path) -> Installed:
    """Runs a command in an empty folder that holds photo.png; it must succeed."""
    (tmp_path / "photo.png").write_bytes(SHIP.read_bytes())

    def run(*line: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            line,
            cwd=tmp_path,
            env={**environment, **(env or {})},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.mark.slow
def test_the_wheel_is_small_and_typed_and_leaves_the_checkout_as_it_was(wheel: Path) -> None:
    assert wheel.stat().st_size <= 25 * 2**20
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"cifarnet/{n}" for n in ("py.typed", "model.safetensors", "config.json")} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"cifarnet"}
    assert not (ROOT / "build").exists()


@pytest.mark.slow
def test_it_classifies_without_a_network_and_without_the_extras(installed: Installed) -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({EXTRAS}))  # importing these now fails\n"
        "from cifarnet import Classifier\n"
        "print(Classifier.from_pretrained()('photo.png').sentence)"
    )
    done = installed(sys.executable, "-W", "error", "-c", code)
    assert (done.stdout, done.stderr) == ("This is a ship.\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("names", ["model, cifarnet", "cifarnet, timm, model"])
def test_under_both_names_networks_are_registered_once(installed: Installed, names: str) -> None:
    code = (
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        f"import {names}\n"
        "both = [m.Classifier.from_pretrained() for m in (model, cifarnet)]\n"
        "assert type(both[0].network) is type(both[1].network)\n"
        "assert len({m('photo.png').probability for m in both}) == 1\n"
        "import model.network, cifarnet.network\n"
        "assert model.network is cifarnet.network"
    )
    assert installed(sys.executable, "-W", "error", "-c", code).stderr == ""


@pytest.mark.slow
def test_the_command_classifies_sends_fetches_and_exports(
    installed: Installed, outside: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    shown = installed("cifarnet", "photo.png", "--top", "3").stdout
    assert re.fullmatch(r"photo\.png: This is a ship\. \((\w+ [\d.]+ %(, )?){3}\)\n", shown)
    there = {k: v for k, v in outside.items() if k.startswith("HF_")} | {"HF_TOKEN": WRITER}
    installed("cifarnet", "push", str(tiny), ID, env=there)
    installed("cifarnet", "pull", ID, "copy", env=there)
    assert (tmp_path / "copy" / "model.safetensors").is_file()
    installed("cifarnet", "export-onnx", "copy", "copy.onnx")
    assert (tmp_path / "copy.onnx").stat().st_size


@pytest.mark.slow
def test_the_command_opens_the_page(environment: dict[str, str], tmp_path: Path) -> None:
    line = ("-m", "cifarnet", "app")
    with served(command=line, folder=tmp_path, env=environment) as url:
        with urllib.request.urlopen(url) as answer:
            assert "cifarnet" in answer.read().decode()
        with urllib.request.urlopen(f"{url}healthz") as answer:
            assert answer.status == 200


@pytest.mark.slow
def test_training_is_part_of_it(installed: Installed, shapes: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "cifarnet.train", "--dataset", str(shapes), "--recipe", "tiny"]
    installed(*line, "--epochs", "1", "--output", "run", env={"ACCELERATE_USE_CPU": "true"})
    assert (tmp_path / "run" / "model.safetensors").is_file()
    installed(sys.executable, "-c", "import cifarnet.web.worker")
