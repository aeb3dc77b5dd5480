"""Recipes check themselves and survive JSON."""

import dataclasses

import pytest
import timm

import model  # noqa: F401  (registers the networks)
from model.recipe import OURS, Recipe
from model.utils.errors import ConfigError

NAN = float("nan")
OUT_OF_RANGE: dict[str, list[object]] = {
    **{key: [0] for key in ("epochs", "batch_size", "gradient_accumulation_steps")},
    "val_size": [-2],
    "momentum": [1.0],
    "label_smoothing": [1.5],
    "learning_rate": [-0.1, NAN],
    "mixed_precision": ["fp8"],
    "resolution": [
        *((), ((0.5, 1.0),), ((NAN, 1.0), (1.0, 1.0)), ((1.0, 9.0),)),
        ((0.8, 1.0), (0.5, 1.0), (1.0, 1.0)),
    ],
}


@pytest.mark.parametrize(
    ("field", "value"), [(name, one) for name, values in OUT_OF_RANGE.items() for one in values]
)
def test_values_out_of_range_are_named(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        dataclasses.replace(Recipe(), **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"surprise": 1}, "surprise"),
        ({"epochs": ...}, "epochs"),  # missing
        ({"epochs": "12"}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"flip": 1}, "flip"),
        ({"resolution": [[1]]}, "resolution"),
        ({"resolution": 5}, "resolution"),
    ],
)
def test_foreign_content_is_refused(change: dict, named: str) -> None:
    content = Recipe().to_dict() | change
    with pytest.raises(ConfigError, match=named):
        Recipe.from_dict({key: value for key, value in content.items() if value is not ...})


def test_a_recipe_from_before_some_fields_existed_does_without_them() -> None:
    content = Recipe(ema_decay=0.9).to_dict()
    for name in ("warp", "jpeg", "final_rate"):
        del content[name]
    content["accumulation"] = content.pop("gradient_accumulation_steps")
    content["average_decay"] = content.pop("ema_decay")
    assert Recipe.from_dict(content) == Recipe(ema_decay=0.9)


def test_resolution_grows_at_its_shares() -> None:
    recipe = Recipe(resolution=((0.25, 0.5), (0.5, 0.75), (1.0, 1.0)))
    sizes = [recipe.size_at(step, 8, 32) for step in range(8)]
    assert sizes == [16, 16, 24, 24, 32, 32, 32, 32]
    assert recipe.size_at(2, 8, 28) == 20  # 21, to even
    assert recipe.size_at(100, 8, 48) == 48


def test_our_networks_are_those_that_are_registered() -> None:
    """`--help` does not wait for timm, and so names them itself."""
    assert sorted(OURS) == sorted(timm.list_models("cifarnet_*"))
