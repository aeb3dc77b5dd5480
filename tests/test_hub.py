"""Tests of model.hub: what was saved comes back; what is damaged, or is no model, is refused."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hub_fixtures import ID
from hub_state import Hub
from tiny_model import (
    MEAN,
    NAMES,
    STD,
    Change,
    change_config,
    change_weights,
    logits_of,
    make_network,
    put,
)

from model.hub import from_pretrained, read_config, save_pretrained
from model.hub.pretrained import unwrapped
from model.inference.classifier import Classifier
from model.utils import files
from model.utils.errors import ConfigError, WeightsError


@pytest.mark.parametrize("architecture", timm.list_models("cifarnet_*"))
def test_round_trip(architecture: str, tmp_path: Path) -> None:
    network = make_network(architecture)
    folder = save_pretrained(network, tmp_path / "deep" / "run", label_names=NAMES)
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
    loaded = from_pretrained(folder)
    assert not loaded.training
    assert torch.equal(logits_of(loaded), logits_of(network))
    config: Any = loaded.pretrained_cfg
    assert (config["mean"], config["std"], config["input_size"]) == (MEAN, STD, (3, 40, 40))
    assert list(config["label_names"]) == NAMES
    assert loaded.num_classes == 5
    trained = {name: p.requires_grad for name, p in network.named_parameters()}
    assert {name: p.requires_grad for name, p in loaded.named_parameters()} == trained


def test_what_timm_saves_can_be_loaded(tmp_path: Path) -> None:
    network = make_network()
    timm.models.save_for_hf(network, str(tmp_path), safe_serialization=True)
    assert torch.equal(logits_of(from_pretrained(tmp_path)), logits_of(network))
    assert "label_names" not in read_config(tmp_path)


def test_config_card(tmp_path: Path) -> None:
    extra = {"recipe": {"epochs": 3}, "data": {"name": "synthetic"}}
    save_pretrained(make_network(), tmp_path, label_names=NAMES, extra=extra)
    # What is unknown at the root is kept, and harms nobody.
    change_config(tmp_path, lambda c: c.update(temperature=1.5))
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["architecture"] == "cifarnet_nano"
    assert (content["num_classes"], content["num_features"]) == (5, 16)
    assert content["label_names"] == NAMES
    assert content["pretrained_cfg"]["mean"] == list(MEAN)
    assert content["cifarnet"] == {"version": 1, **extra}
    assert read_config(tmp_path)["cifarnet"] == content["cifarnet"]
    assert read_config(tmp_path)["temperature"] == 1.5
    from_pretrained(tmp_path)


def test_a_new_classifier_loses_the_old_names(saved: Path, tmp_path: Path) -> None:
    network: Any = from_pretrained(saved)
    network.reset_classifier(2)
    save_pretrained(network, tmp_path / "two")
    assert "label_names" not in read_config(tmp_path / "two")
    assert from_pretrained(tmp_path / "two").num_classes == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_on_disk(dtype: torch.dtype, saved: Path) -> None:
    def halve(tensors: dict[str, torch.Tensor]) -> None:
        tensors |= {k: v.to(dtype) for k, v in tensors.items() if v.is_floating_point()}

    change_weights(saved, halve)
    loaded = from_pretrained(saved)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    for name, value in make_network().state_dict().items():
        if value.is_floating_point():
            assert torch.equal(loaded.state_dict()[name], value.to(dtype).float())


def on_all_devices(network: torch.nn.Module) -> torch.nn.Module:
    return torch.nn.parallel.DistributedDataParallel(network)


@pytest.mark.parametrize(
    "wrap",
    [
        torch.compile,
        torch.nn.DataParallel,
        on_all_devices,
        lambda network: torch.compile(on_all_devices(network)),
    ],
)
def test_what_torch_wraps_is_saved_as_what_is_inside(
    wrap: Callable[[Any], Any], saved: Path, tmp_path: Path
) -> None:
    alone = {"init_method": f"file://{tmp_path}/store", "rank": 0, "world_size": 1}
    torch.distributed.init_process_group("gloo", **alone)  # type: ignore[arg-type]
    try:
        wrapped = wrap(make_network())
    finally:
        torch.distributed.destroy_process_group()
    save_pretrained(wrapped, tmp_path / "again", label_names=NAMES)
    for name in ("config.json", "model.safetensors"):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert Classifier(wrapped).network is unwrapped(wrapped)


def test_compiled_parts_are_saved_under_their_own_names_and_what_was_loaded_as_it_was(
    saved: Path, tmp_path: Path
) -> None:
    network: Any = from_pretrained(saved)
    network.stages[0] = torch.compile(network.stages[0])
    save_pretrained(network, tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_diverged_and_foreign_networks_are_not_saved(tmp_path: Path) -> None:
    network = make_network()
    torch.nn.init.constant_(network.head.fc.weight, float("nan"))
    with pytest.raises(WeightsError, match=r"head\.fc\.weight holds NaN"):
        save_pretrained(network, tmp_path / "run")
    with pytest.raises(ConfigError, match="Linear"):
        save_pretrained(torch.nn.Linear(2, 3), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fails_at", [0, 1])
def test_full_disk_keeps_the_old_pair(
    fails_at: int, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    written: list[int] = []

    def full(number: int) -> None:
        if len(written) == fails_at:
            raise OSError(28, "No space left on device")
        written.append(number)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_pretrained(make_network(num_classes=2), saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert len(written) == fails_at


def poison(name: str, value: float) -> Change:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].view(-1)[-1] = value

    return change


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda t: t.pop("head.fc.weight"), r"head\.fc\.weight"),
        (put("extra.weight", torch.zeros(1)), r"extra\.weight"),
        (lambda t: t.clear(), r"head\.fc"),
        (put("head.fc.weight", torch.zeros(6, 16)), r"head\.fc\.weight .*\(6, 16\)"),
        (put("stem.conv.bias", torch.zeros(24, 1)), r"stem\.conv\.bias .*\(24, 1\)"),
        (put("stem.conv.bias", torch.zeros(24, dtype=torch.int32)), "I32"),
        (put("stem.conv.bias", torch.zeros(24, dtype=torch.float64)), "F64"),
        (put("stages.0.norms.0.num_batches_tracked", torch.tensor(1.0)), "F32.*I64"),
        (poison("head.fc.weight", float("nan")), r"head\.fc\.weight .*NaN"),
        (poison("stem.conv.bias", float("inf")), r"stem\.conv\.bias .*inf"),
        (poison("stages.2.norms.2.running_var", -float("inf")), "running_var .*inf"),
    ],
)
def test_wrong_weights(change: Change, part: str, saved: Path) -> None:
    change_weights(saved, change)
    with pytest.raises(WeightsError, match=part) as caught:
        from_pretrained(saved)
    assert str(saved / "model.safetensors") in str(caught.value)


class Evil:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.mkdir, ("unpickled",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        (10**15).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"null",
        pickle.dumps(Evil()),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    ],
)
def test_junk_weights(content: bytes, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved)
    (saved / "model.safetensors").write_bytes(content)
    with pytest.raises(WeightsError):
        from_pretrained(saved)
    assert not (saved / "unpickled").exists()


def asserts_refused(model: Any, *parts: str, **options: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        from_pretrained(model, **options)
    for part in parts:
        assert part in str(caught.value)


def test_missing_files_and_what_is_in_the_wrong_place(saved: Path) -> None:
    asserts_refused(saved / "config.json", str(saved / "config.json"))
    asserts_refused(saved, "revision='main'", revision="main")
    (saved / "model.safetensors").rename(saved / "pytorch_model.bin")  # which is not looked at
    asserts_refused(saved, str(saved), "model.safetensors")
    read_config(saved)
    (saved / "config.json").unlink()
    asserts_refused(saved, str(saved), "config.json")
    (saved / "checkpoint.safetensors").touch()
    asserts_refused(saved, "config.json", f"--resume {saved}")


@pytest.mark.parametrize(
    "name", ["gone", "./runs/gone", "../gone", "~/gone", "a/b/c", "/", "a b/c"]
)
def test_names_that_can_only_be_folders(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    name = name if name != "/" else "/nowhere"
    asserts_refused(name, repr(name), "owner/name")


def test_folders_go_before_hub_ids(
    hub: Hub, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, tmp_path / ID)
    from_pretrained(ID)
    assert hub.asked == []
