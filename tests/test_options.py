"""The command line of train.py."""

import dataclasses
from pathlib import Path

import pytest

from model import checkpoint, options
from model.recipe import RECIPES, DataOptions, Recipe
from model.utils import files
from model.utils.errors import ConfigError


def test_defaults() -> None:
    asked = options.parse([])
    assert asked.recipe == RECIPES["default"]
    assert asked.data.name == "uoft-cs/cifar10"
    assert asked.data.image_size == 32


def test_flags_override_single_fields() -> None:
    line = "--recipe flash --epochs 3 --no-flip --learning-rate 0.5 --resolution 0.5:0.5,1:1"
    asked = options.parse([*line.split(), "--label-column", "fine_label", "--image-size", "48"])
    assert asked.recipe == dataclasses.replace(
        RECIPES["flash"],
        epochs=3,
        flip=False,
        learning_rate=0.5,
        resolution=((0.5, 0.5), (1.0, 1.0)),
    )
    assert asked.data.label_column == "fine_label"
    assert asked.data.image_size == 48


def test_every_recipe_field_has_a_flag_and_one_line_of_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_:
        options.parse(["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(Recipe):
        if field.name != "name":
            assert "--" + field.name.replace("_", "-") in text
    assert text.count("default: ") >= len(dataclasses.fields(Recipe)) - 1


def from_config(folder: Path, data: object, recipe: Recipe | None = None) -> list[str]:
    """The flag that names a config card with such data."""
    config = {"cifarnet": {"recipe": (recipe or Recipe()).to_dict(), "data": data}}
    files.write_json(folder / "config.json", config)
    return ["--from-config", str(folder / "config.json")]


def test_from_config_gives_the_recipe_back(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPES["flash"], seed=7)
    data = dict(name="synthetic", image_column="image", label_column="label", image_size=32)
    data |= dict(
        cached=False, fingerprint="ab", max_bad_images=3, outliers="strangers", init_from="me"
    )
    line = from_config(tmp_path, data, recipe)
    asked = options.parse(line)
    assert asked.recipe == recipe
    assert dataclasses.asdict(asked.data) == data
    assert options.parse([*line, "--cache-limit", "1"]).data.cached is None
    other = options.parse([*line, "--dataset", "elsewhere", "--seed", "8"])
    assert other.data == DataOptions("elsewhere", outliers="strangers", init_from="me")
    assert other.recipe.seed == 8


def test_from_config_takes_path_and_fingerprint_from_the_checkpoint(tmp_path: Path) -> None:
    data = dict(name="c10", image_size=32)
    values = {"data": data | {"name": "/somewhere/c10"}, "fingerprint": "ab"}
    checkpoint.save_checkpoint(tmp_path, {}, values)
    asked = options.parse(from_config(tmp_path, data))
    assert asked.data == DataOptions("/somewhere/c10", fingerprint="ab")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--recipe flsh", "did you mean flash"),
        ("--epochs 0", "epochs=0"),
        ("--image-size 8", "--image-size 8"),
        ("--cache-limit -1", "--cache-limit -1"),
        ("--resume runs/a --epochs 3 --dataset b", "leave out --dataset, --epochs"),
        ("--translate 32", "--translate 32"),
        ("--cutout 32", "--cutout 32"),
        ("--seed 4294967296", "seed=4294967296"),
        ("--resume runs/a --threads 0", "--threads 0"),
        ("--resume runs/a --cache-limit 0", "leave out --cache-limit"),
        ("--recipe flash --from-config x.json", "give one of them"),
        ("--from-config missing.json", "missing.json cannot be read"),
    ],
)
def test_mistakes_are_named(line: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        options.parse(line.split())


@pytest.mark.parametrize("data", [[], {}, {"name": 3}, {"name": "a", "image_size": "32"}, None])
def test_a_config_with_wrong_data_or_no_recipe_is_refused(data: object, tmp_path: Path) -> None:
    line = from_config(tmp_path, data)
    if data is None:
        files.write_json(tmp_path / "config.json", {"cifarnet": None})
    with pytest.raises(ConfigError, match=r"config\.json"):
        options.parse(line)
