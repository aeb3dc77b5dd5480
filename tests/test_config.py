"""Tests of model.hub.config: whatever is wrong with a config card, one message says what."""

from pathlib import Path

import pytest
from tiny_model import NAMES, Change, change_config, make_network, put

from model.hub import from_pretrained, read_config, save_pretrained
from model.utils.errors import ConfigError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_pretrained(make_network(), tmp_path / "run", label_names=NAMES)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (put("architecture", "resnet18"), "architecture 'resnet18' is unknown"),
        (put("architecture", "cifarnet_huge"), "only cifarnet_base, cifarnet_nano"),
        (put("architecture", ["cifarnet_nano"]), "is unknown"),
        (put("architecture", "hf-hub:evil/model"), "is unknown"),
        (lambda c: c.pop("architecture"), "architecture None"),
        (put("num_classes", 0), "num_classes is 0"),
        (put("num_classes", -5), "num_classes is -5"),
        (put("num_classes", "5"), "num_classes is '5'"),
        (put("num_classes", 5.0), r"num_classes is 5\.0"),
        (put("num_classes", True), "num_classes is True"),
        (put("num_classes", 10**12), "num_classes is 1000000000000"),
        (lambda c: c.pop("num_classes"), "num_classes is None"),
        (put("num_classes", 6), "5 label names for 6 classes"),
        (put("label_names", NAMES[:4]), "4 label names for 5 classes"),
        (put("label_names", ["a", "a", "b", "c", "d"]), "'a' stands for two classes"),
        (put("label_names", [1, 2, 3, 4, 5]), "list of names"),
        (put("label_names", {"0": "a"}), "list of names"),
        (put("label_names", "abcde"), "list of names"),
        (put("cifarnet", "version", 2), "version is 2, this code reads up to 1"),
        (put("cifarnet", "version", "1"), "version number"),
        (put("cifarnet", {}), "version number"),
        (put("cifarnet", [1]), "version number"),
        (put("model_args", [1]), "model_args is"),
        (put("model_args", "num_classes", 7), r"model_args\.num_classes is 7"),
        (put("model_args", "in_chans", 1), r"model_args\.in_chans is 1"),
        (put("model_args", "global_pool", 3), r"model_args\.global_pool is 3"),
        (put("model_args", "global_pool", "nonsense"), "cannot be built"),
        (put("model_args", "widths", [10**9] * 3), r"model_args\.widths"),
        (put("model_args", "widths", [8, 12]), "cannot be built"),
        (put("model_args", "widths", []), "cannot be built"),
        (put("model_args", "widths", "888"), r"model_args\.widths"),
        (put("model_args", "depths", [1, 1, 10**9]), r"model_args\.depths"),
        (put("model_args", "stem_width", 0), r"model_args\.stem_width is 0"),
        (put("model_args", "checkpoint_path", "/etc/passwd"), "unknown keys.*checkpoint_path"),
        (put("model_args", "pretrained", True), "unknown keys.*pretrained"),
        (lambda c: c.pop("pretrained_cfg"), "pretrained_cfg is None"),
        (put("pretrained_cfg", "temperature", 1.5), "unknown keys.*temperature"),
        (put("pretrained_cfg", "input_size", [3, 32]), "input_size is"),
        (put("pretrained_cfg", "input_size", [1, 32, 32]), "input_size is"),
        (put("pretrained_cfg", "input_size", [3, 32, 64]), "input_size is"),
        (put("pretrained_cfg", "input_size", [3, 10**6, 10**6]), "input_size is"),
        (put("pretrained_cfg", "input_size", 32), "input_size is 32"),
        (put("pretrained_cfg", "mean", [0.5, 0.5]), "mean is"),
        (put("pretrained_cfg", "mean", [0.5, 0.5, "x"]), "mean is"),
        (put("pretrained_cfg", "mean", [0.5, 0.5, float("nan")]), "mean is"),
        (put("pretrained_cfg", "std", [0.5, 0.5, 0]), "std is .* above 0"),
        (put("pretrained_cfg", "std", [0.5, 0.5, float("inf")]), "std is"),
        (put("pretrained_cfg", "std", None), "std is None"),
    ],
)
def test_wrong_config_cards(change: Change, part: str, saved: Path) -> None:
    change_config(saved, change)
    with pytest.raises(ConfigError, match=part) as caught:
        from_pretrained(saved)
    assert str(saved / "config.json") in str(caught.value)


def test_malformed_and_huge_config_cards(saved: Path) -> None:
    (saved / "config.json").write_text('{"architecture": ')
    with pytest.raises(ConfigError, match="not valid JSON"):
        read_config(saved)
    (saved / "config.json").write_text('{"a": "' + "x" * 2**20 + '"}')
    with pytest.raises(ConfigError, match="at most 1,048,576 are read"):
        read_config(saved)
