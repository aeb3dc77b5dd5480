"""Tests of model.hub.config: whatever is wrong with a config card, one message says what."""

from pathlib import Path
from typing import Any

import pytest
from tiny_model import NAMES, change_config, make_network, put

from model.hub import config, from_pretrained, read_config, save_pretrained
from model.utils.errors import ConfigError

NAN, INFINITE = float("nan"), float("inf")
# Keys by their path, and values that no card may have.
WRONG: dict[str, list[Any]] = {
    "architecture": ["resnet81", "cifarnet_huge", ["cifarnet_nano"], "hf-hub:evil/model", None],
    "num_classes": [0, -5, "5", 5.0, True, 10**12, None],
    "label_names": [{"0": "a"}, "abcde"],
    "cifarnet": [[1], "1"],
    "cifarnet.version": [2, 0, "1", None],
    "cifarnet.recipe": [[1]],
    "cifarnet.data": ["synthetic"],
    "model_args": [[1]],
    "model_args.num_classes": [7],
    "model_args.in_chans": [1],
    "model_args.widths": [[10**9] * 3, "888"],
    "model_args.depths": [[1, 1, 10**9]],
    "model_args.stem_width": [0],
    "pretrained_cfg": [None],
    "pretrained_cfg.input_size": [[3, 32], [1, 32, 32], [3, 32, 64], [3, 10**6, 10**6], 32],
    "pretrained_cfg.mean": [[0.5, 0.5], [0.5, 0.5, "x"], [0.5, 0.5, NAN]],
    "pretrained_cfg.std": [[0.5, 0.5, 0], [0.5, 0.5, INFINITE], None],
}
# Values that are refused by another sentence, and the part of it that names them.
OTHERS: list[tuple[tuple[Any, ...], str]] = [
    (("num_classes", 6), "5 label names for 6 classes"),
    (("label_names", NAMES[:4]), "4 label names for 5 classes"),
    (("label_names", ["a", "a", "b", "c", "d"]), "'a' stands for two"),
    (("label_names", [1, 2, 3, 4, 5]), "label name 1 is"),
    (("cifarnet", "data", {"name": 3}), "cifarnet.data.name is 3"),
    (("cifarnet", "data", {"image_size": 8}), "cifarnet.data.image_size is 8"),
    (("model_args", "checkpoint_path", "/etc/passwd"), "checkpoint_path"),
    (("model_args", "pretrained", True), "pretrained"),
    (("model_args", "global_pool", "nonsense"), "cannot be built"),
    (("model_args", "global_pool", 3), "cannot be built"),
    (("model_args", "drop_rate", -0.1), "cannot be built"),
    (("model_args", "drop_rate", 2), "cannot be built"),
    (("model_args", "drop_rate", "a"), "cannot be built"),
    (("model_args", "widths", [8, 12]), "cannot be built"),
    (("model_args", "widths", []), "cannot be built"),
    (("pretrained_cfg", "temperature", 1.5), "temperature"),
]
CASES = [
    ((*key.split("."), value), f"{key} is {str(value)[:20]}")
    for key, values in WRONG.items()
    for value in values
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pretrained(make_network(), tmp_path_factory.mktemp("run"), label_names=NAMES)


@pytest.mark.parametrize(("path", "part"), CASES + OTHERS, ids=str)
def test_wrong_config_cards(path: tuple[Any, ...], part: str, saved: Path) -> None:
    before = (saved / "config.json").read_bytes()
    try:
        change_config(saved, put(*path))
        with pytest.raises(ConfigError) as caught:
            from_pretrained(saved)
    finally:
        (saved / "config.json").write_bytes(before)
    told = str(caught.value).replace("'", "")
    assert part.replace("'", "") in told
    assert str(saved / "config.json") in told


def test_huge_config_cards_are_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "config.json", "wb") as file:
        file.truncate(config.MAX_BYTES + 1)
    with pytest.raises(ConfigError, match=f"{config.MAX_BYTES + 1:,} bytes"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("names", "bad"),
    [
        (["a", "b"], "2 label names"),
        ([*"abcd", ""], "''"),
        ([*"abcd", " "], "' '"),
        ([*"abcda"], "'a'"),
        ([*"abcd", None], "None"),
        ([1] * 5, "1"),
        ("abcde", "1 label names"),
        ([*"abcd", "b\nc"], "'b\\nc'"),
        ([*"abcd", "\udc80"], "'\\udc80'"),
        ([*"abcd", "y" * 256], "256 characters"),
    ],
)
def test_names_that_cannot_be_loaded_again_are_not_saved(
    names: Any, bad: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"label.name") as caught:
        save_pretrained(make_network(), tmp_path / "run", label_names=names)
    assert bad in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_names_in_every_script_are_fine() -> None:
    config.check_label_names(["قطة", "猫", "कुत्ता", "👩\u200d👩\u200d👧", "e\u0301", "é", "x" * 255])
