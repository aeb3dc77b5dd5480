"""Saving and loading a model: config.json and model.safetensors, never a pickle."""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.models._hub import save_config_for_hf
from torch import Tensor, nn

from ..recipe import OURS
from ..utils import files
from ..utils.errors import ConfigError, WeightsError
from . import card, config, snapshot

RESULTS_NAME, CARD_NAME = "results.json", "README.md"
DTYPES = ("F32", "F16", "BF16")  # of floating-point weights in a file
INTEGER_DTYPES = ("I64",)  # of the normalisation layers' counters


def save_pretrained(
    network: nn.Module,
    directory: str | os.PathLike[str],
    *,
    label_names: Sequence[str] | None = None,
    results: dict[str, Any] | None = None,
    extra: dict[str, Any] | None = None,
) -> Path:
    """Writes a network so that `from_pretrained`, timm and the hub can read it.

    All files are replaced together, the config card last: on a full disk, what was there stays.

    Args:
        network: Built by timm, one of ours or another, or one compiled or wrapped for
            several devices by torch; its `pretrained_cfg` holds the mean, std and input_size that
            it was trained with.
        directory: Made if need be.
        label_names: Of all classes; None keeps those the network was loaded with, if any.
        results: Content of results.json; adds that file and the model card README.md, which shows
            what lies in `directory`/figures.
        extra: What else to keep in config.json under "cifarnet", such as the recipe.

    Returns:
        The directory.

    Raises:
        ConfigError: If label names do not fit the network, or timm did not build it.
        WeightsError: If a weight is NaN or infinite.
        OSError: If a file cannot be written.
    """
    directory, network = Path(directory), unwrapped(network)
    content = config_of(network, label_names, extra)
    weights = _weights_of(network)
    contents = {snapshot.WEIGHTS_NAME: weights}
    if results is not None:
        results = results | {"weights_sha256": hashlib.sha256(weights).hexdigest()}
        text = card.model_card(results, content, figures=public_figures(directory))
        contents |= {RESULTS_NAME: files.as_json(results), CARD_NAME: text.encode()}
    contents[config.NAME] = files.as_json(content)
    directory.mkdir(parents=True, exist_ok=True)
    files.write_together({directory / name: data for name, data in contents.items()})
    return directory


def from_pretrained(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    device: str | torch.device | None = None,
) -> nn.Module:
    """Loads a network that `save_pretrained` or train.py wrote.

    Args:
        model: Folder with config.json and model.safetensors, or hub id "owner/name".
        revision: Branch, tag or commit on the hub.
        device: Where to put it; None is the CPU.

    Returns:
        The network in float32 and evaluation mode; `pretrained_cfg` holds mean, std and input_size.

    Raises:
        ConfigError: If the folder or a file is missing, or the config card is wrong.
        WeightsError: If the weights are damaged or belong to another network.
        HubError: If the hub has no such model or cannot be reached.
    """
    return load(model, revision=revision, device=device)[0]


def load(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    device: str | torch.device | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """Loads a network as `from_pretrained` does, and the config card that came with it."""
    folder = snapshot.resolve(model, revision)
    content = config.load(folder / config.NAME)
    # Built on the meta device: no time, memory or random numbers spent on values to be replaced.
    network = _build(content, folder / config.NAME)
    weights = _read_weights(folder / snapshot.WEIGHTS_NAME, network.state_dict())
    network.load_state_dict(weights, assign=True)
    return network.eval().to(device or "cpu"), content


def unwrapped(network: Any) -> Any:
    """The network inside of torch.compile, DataParallel or DistributedDataParallel."""
    while list(network._modules) in (["_orig_mod"], ["module"]):
        (network,) = network.children()
    return network


def public_figures(directory: Path) -> list[str]:
    """The figures beside a model that may be published, by their paths from its folder on."""
    return [name for name in card.FIGURES if (directory / name).is_file()]


def read_config(model: str | os.PathLike[str], revision: str | None = None) -> dict[str, Any]:
    """Reads and checks a model's config card, without its weights; see `from_pretrained`."""
    return config.load(snapshot.resolve(model, revision, names=()) / config.NAME)


def config_of(
    network: nn.Module,
    label_names: Sequence[str] | None = None,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The config card, as timm writes it, with our key at the end; see `save_pretrained`.

    Raises:
        ConfigError: If the network cannot be saved.
    """
    if not hasattr(network, "pretrained_cfg"):
        raise ConfigError(
            f"A {type(network).__name__} cannot be saved; build a network by "
            "timm.create_model('cifarnet_small')."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / config.NAME
        where: Any = path  # older versions of timm open it, whatever their annotation says
        save_config_for_hf(network, where)
        content = files.read_json(path)
    args = content.setdefault("model_args", {})
    args.pop("num_classes", None)  # at the root already; transformers' wrapper takes it once only
    if rate := getattr(network, "drop_rate", 0.0):  # timm leaves it out
        args["drop_rate"] = rate
    # Names that came from a config card belong at the root again, not inside pretrained_cfg.
    kept = content["pretrained_cfg"].pop("label_names", None)
    names = kept if label_names is None else label_names
    ours = {"version": config.VERSION, **(extra or {})}
    if names is not None:
        content["label_names"] = [names] if isinstance(names, str) else list(names)
    return config.check({**content, config.KEY: ours}, "The network to be saved")


def _weights_of(network: nn.Module) -> bytes:
    tensors = {}
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value = value.float()
            if not value.isfinite().all():
                raise WeightsError(
                    f"{name} holds NaN or infinite values; nothing was saved. Training diverged: "
                    "lower the learning rate."
                )
        # torch.compile may also have wrapped a part of the network.
        tensors[name.replace("_orig_mod.", "")] = value.detach().cpu().contiguous()
    return safetensors.torch.save(tensors, {"format": "pt"})


def _build(content: dict[str, Any], path: Path) -> nn.Module:
    """A network whose values are to be replaced; one of ours has shapes only, and costs nothing."""
    pretrained = dict(content["pretrained_cfg"], num_classes=content["num_classes"])
    if content.get("label_names"):
        pretrained["label_names"] = tuple(content["label_names"])
    args = content.get("model_args", {}) | dict(
        num_classes=content["num_classes"], pretrained_cfg=pretrained
    )
    try:
        # Others may have more than their weights, which are read from the file: tables, say.
        with torch.device("meta" if content["architecture"] in OURS else "cpu"):
            return timm.create_model(content["architecture"], pretrained=False, **args)
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} describes a network that cannot be built ({error}); restore the file or "
            "download it again."
        ) from None


def _read_weights(path: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Reads weights as float32; no value is read that is not one of this network's."""
    other = f"; it belongs to another network than the {config.NAME} beside it."
    tensors = {}
    try:
        with safe_open(path, framework="pt") as file:
            if wrong := sorted(expected.keys() ^ set(file.keys())):
                some = f"{', '.join(wrong[:3])}, {len(wrong)} in all"
                raise WeightsError(f"{path} lacks weights or has unknown ones ({some}){other}")
            for name, tensor in expected.items():
                header, shape = file.get_slice(name), tuple(tensor.shape)
                found, kind = tuple(header.get_shape()), header.get_dtype()
                allowed = DTYPES if tensor.is_floating_point() else INTEGER_DTYPES
                if found != shape or kind not in allowed:
                    raise WeightsError(
                        f"{path} holds {name} as {kind} of shape {found} in the place of "
                        f"{' or '.join(allowed)} of shape {shape}{other}"
                    )
                value = file.get_tensor(name)
                if not value.isfinite().all():
                    raise WeightsError(
                        f"{path}: {name} holds NaN or infinite values; do not use this file."
                    )
                # A copy: what was read still lies in the mapped file, which might change on disk.
                tensors[name] = value.to(tensor.dtype, copy=True)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a complete safetensors file ({error}); copy or download it again. "
            "Pickled weights are never read."
        ) from None
    return tensors
