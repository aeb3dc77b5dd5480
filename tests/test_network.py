"""Every registered network keeps timm's contract; counts are worked out by hand."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import model  # noqa: F401  (registers the networks)
from model import network as module
from model.evaluation.report import describe, multiply_adds
from model.hub import from_pretrained, read_config, save_pretrained
from model.network import PooledConv
from model.utils import beside

NAMES = timm.list_models("cifarnet_*")


def images(n: int = 2, chans: int = 3, size: int = 32) -> Tensor:
    return torch.randn(n, chans, size, size, generator=torch.Generator().manual_seed(0))


def test_small_counts_worked_out_by_hand() -> None:
    # Stem: 24 filters of 3*2*2 and 24 biases. A convolution from a to b channels: 9ab weights; its
    # norm: scale and bias of b each. Classifier: 256*10, no bias.
    stem = 24 * 12 + 24
    stages = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256) + 2 * (2 * 64 + 4 * 256)
    # Maps are 31 (stem), 15, 7, 3; before pooling only the 30, 14 and 6 that it keeps.
    madds = (
        31 * 31 * 24 * 12
        + 30 * 30 * 9 * 24 * 64
        + 15 * 15 * 9 * 64 * 64
        + 14 * 14 * 9 * 64 * 256
        + 7 * 7 * 9 * 256 * 256
        + 6 * 6 * 9 * 256 * 256
        + 3 * 3 * 9 * 256 * 256
        + 2560
    )
    network: Any = timm.create_model("cifarnet_small")
    assert sum(p.numel() for p in network.parameters()) == stem + stages + 2560 == 1_972_792
    assert multiply_adds(network, (3, 32, 32)) == madds
    assert describe(network) == {
        "architecture": "cifarnet_small",
        "parameters": 1_972_792,
        "multiply_adds": madds,
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("size", "chans", "classes"),
    [(24, 3, 10), (28, 1, 10), (32, 3, 100), (48, 4, 2), (64, 12, 7)],
)
def test_any_size_channels_and_classes(name: str, size: int, chans: int, classes: int) -> None:
    network: Any = timm.create_model(name, in_chans=chans, num_classes=classes).eval()
    assert network(images(chans=chans, size=size)).shape == (2, classes)
    network.init_whitening(images(8, chans, size))
    assert network(images(chans=chans, size=size)).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_timm_attributes_named_layers_and_groups(name: str) -> None:
    network: Any = timm.create_model(name)
    assert (network.num_classes, network.in_chans) == (10, 3)
    assert network.num_features == network.head_hidden_size == network.get_classifier().in_features
    assert not network.grad_checkpointing
    assert len(network.feature_info) == 3
    parameters = dict(network.named_parameters())
    for key in ("first_conv", "classifier"):
        assert network.pretrained_cfg[key] + ".weight" in parameters
    groups = timm.models.group_parameters(network, network.group_matcher())
    assert sorted(name for members in groups.values() for name in members) == sorted(parameters)
    assert len(groups) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_forward_is_features_then_a_head_that_can_be_replaced(name: str) -> None:
    network: Any = timm.create_model(name).eval()
    x = images()
    features = network.forward_features(x)
    assert features.shape == (2, network.num_features, 3, 3)
    pooled = network.forward_head(features, pre_logits=True)
    assert torch.equal(pooled, features.amax((2, 3)))
    assert torch.equal(network.forward_head(features), network(x))
    assert torch.allclose(pooled @ network.get_classifier().weight.T, network(x), atol=1e-6)
    network.reset_classifier(0)
    assert torch.equal(network(x), pooled)
    network.reset_classifier(0, "")
    assert torch.equal(network(x), features)
    network.reset_classifier(5, "catavgmax")
    assert network(x).shape == (2, 5)
    network.reset_classifier(5, "avg")
    assert network(x).shape == (2, 5)
    assert network.num_classes == 5
    assert torch.allclose(network.forward_head(features, True), features.mean((2, 3)), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_intermediates_agree_with_features_only_and_hooks(name: str) -> None:
    network: Any = timm.create_model(name).eval()
    x = images()
    seen: list[Tensor] = []
    for stage in network.stages:
        stage.register_forward_hook(lambda _m, _i, output: seen.append(output))
    last, maps = network.forward_intermediates(x)
    assert torch.equal(last, network.forward_features(x))
    for found, hooked in zip(maps, seen, strict=False):
        assert torch.equal(found, hooked)
    extractor: Any = timm.create_model(name, features_only=True).eval()
    extractor.load_state_dict(
        {k.replace("stages.", "stages_"): v for k, v in network.state_dict().items()}, strict=False
    )
    for found, extracted in zip(maps, extractor(x), strict=True):
        assert torch.equal(found, extracted)
    assert extractor.feature_info.channels() == [info["num_chs"] for info in network.feature_info]
    only = network.forward_intermediates(x, indices=[1], stop_early=True, intermediates_only=True)
    assert len(only) == 1
    assert torch.equal(only[0], maps[1])
    with pytest.raises(ValueError, match="NLC"):
        network.forward_intermediates(x, output_fmt="NLC")
    assert network.prune_intermediate_layers([0, 1]) == [0, 1]
    assert len(network.stages) == 2
    assert torch.equal(network(x), maps[1])


@pytest.mark.parametrize("name", NAMES)
def test_grad_checkpointing_changes_no_gradient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network: Any = timm.create_model(name).eval()
    x = images()

    def gradients() -> list[Tensor]:
        network.zero_grad()
        network(x).square().mean().backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    plain = gradients()
    network.set_grad_checkpointing(True)
    once, stages = module.checkpoint, list[Any]()

    def counted(stage: Any, x: Tensor) -> Any:
        stages.append(stage)
        return once(stage, x)

    monkeypatch.setattr(module, "checkpoint", counted)
    for a, b in zip(plain, gradients(), strict=True):
        assert torch.allclose(a, b, atol=1e-7)
    assert stages == [*network.stages]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_script_and_export_give_the_same_logits(name: str) -> None:
    network: Any = timm.create_model(name).eval()
    x = images()
    expected = network(x).detach()
    assert torch.allclose(torch.jit.script(network)(x), expected, atol=1e-5)
    exported = torch.export.export(network, (x,)).module()
    assert torch.allclose(exported(x), expected, atol=1e-5)


def test_whitening_decorrelates_patches() -> None:
    """On the pictures it was set from, its filters answer with unit variance, uncorrelated."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64, 3, 16, 16, generator=generator).cumsum(2).cumsum(3) / 10
    x -= x.mean((0, 2, 3), keepdim=True)
    network: Any = timm.create_model("cifarnet_nano")
    network.stem.init_whitening(x, eps=0)
    with torch.no_grad():
        answers = nn.functional.conv2d(x, network.stem.conv.weight)  # (64, 24, 15, 15)
    flat = answers.permute(1, 0, 2, 3).flatten(1)
    second_moment = flat @ flat.T / flat.shape[1]  # (24, 24)
    assert torch.allclose(second_moment[:12, :12], torch.eye(12), atol=1e-3)
    assert torch.allclose(second_moment[:12, 12:], -torch.eye(12), atol=1e-3)
    assert not network.stem.conv.weight.requires_grad


def test_partial_identity_passes_channels_through() -> None:
    small: Any = timm.create_model("cifarnet_small")
    conv = small.stages[0].convs[0]
    x = images(1, 24, 8)
    assert torch.allclose(conv(x)[:, :24], x, atol=1e-6)


@pytest.mark.parametrize("bad", [{"widths": (8, 8)}, {"depths": ()}, {"widths": (0, 8, 8)}])
def test_bad_shapes_name_their_values(bad: dict) -> None:
    with pytest.raises(ValueError, match="widths="):
        timm.create_model("cifarnet_nano", **bad)


def test_what_timms_programs_pass_is_taken(tmp_path: Path) -> None:
    """Dropout acts in training alone; a config card tells of it only where there is some."""
    asked: dict[str, Any] = dict(drop_path_rate=0.0, drop_block_rate=None, scriptable=False)
    asked |= dict(exportable=True, pretrained_cfg_overlay={"crop_pct": 0.5}, device="cpu")
    plain: Any = timm.create_model("cifarnet_nano", drop_rate=0.0, dtype=torch.float64, **asked)
    dropping: Any = timm.create_model("cifarnet_nano", drop_rate=0.5, **asked)
    assert plain.pretrained_cfg["crop_pct"] == 0.5
    assert plain.get_classifier().weight.dtype == torch.float64
    features = torch.ones(1, 128, 3, 3)
    torch.manual_seed(0)
    kept = dropping.train().forward_head(features, pre_logits=True)  # (1, 128)
    assert set(kept.flatten().tolist()) == {0.0, 2.0}  # what is left is scaled up by 1 / (1 - 0.5)
    assert torch.equal(dropping.eval().forward_head(features, True), torch.ones(1, 128))
    for network, told in ((plain, {}), (dropping, {"drop_rate": 0.5})):
        args = read_config(save_pretrained(network, tmp_path / "run"))["model_args"]
        assert {key: args[key] for key in args if key.startswith("drop")} == told
    loaded: Any = from_pretrained(tmp_path / "run")
    assert loaded.head.drop.p == 0.5


@pytest.mark.parametrize("size", [6, 7])
def test_convolution_before_pooling_computes_only_what_pooling_keeps(size: int) -> None:
    conv = PooledConv(3, 5)
    x = images(size=size)
    whole = nn.functional.conv2d(x, conv.weight, padding=1)  # (2, 5, size, size)
    assert torch.allclose(conv(x), whole[..., :6, :6], atol=1e-6)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize(("many", "size"), [(1, 3), (9, 3), (7, 7), (3, 40)])
def test_gradients_from_maps_side_by_side_are_the_convolutions(
    many: int, size: int, padding: int
) -> None:
    found = []
    for convolve in (
        beside.conv2d,
        lambda x, weight, n: nn.functional.conv2d(x, weight, padding=n),
    ):
        torch.manual_seed(0)
        x = torch.randn(many, 3, size, size + 1, dtype=torch.float64, requires_grad=True)
        weight = torch.randn(4, 3, 3, 3, dtype=torch.float64, requires_grad=True)
        out = convolve(x, weight, padding)
        out.backward(torch.randn_like(out))
        found.append((out, x.grad, weight.grad))
    for ours, torchs in zip(*found, strict=True):
        torch.testing.assert_close(ours, torchs)


def test_deep_narrow_maps_in_bfloat16_stand_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    conv2d = beside.conv2d

    def counted(x: torch.Tensor, weight: torch.Tensor, padding: int) -> torch.Tensor:
        sizes.append(x.shape[3])
        return conv2d(x, weight, padding)

    monkeypatch.setattr(beside, "conv2d", counted)
    network: Any = timm.create_model("cifarnet_small").to(memory_format=torch.channels_last)
    gradients = []
    for has in (False, True):
        monkeypatch.setattr(beside, "has_amx", lambda device, has=has: has)
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            network(images()).square().mean().backward()
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert sizes == [7, 8, 3]  # a stage's second layer, and both of the last
    for plain, side in zip(*gradients, strict=True):
        assert (plain - side).norm() <= 0.02 * plain.norm()
    network.zero_grad()
    network.set_grad_checkpointing()  # the forward pass is run twice
    with torch.autocast("cpu", torch.bfloat16):
        network(images()).square().mean().backward()
    assert len(sizes) == 9
    again = [p.grad for p in network.parameters() if p.grad is not None]
    torch.testing.assert_close(again, gradients[1])
