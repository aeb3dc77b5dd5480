"""config.json: timm's hub schema and one key of our own, checked before anything is built."""

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
from timm.models import PretrainedCfg

from .. import network as network  # registers the architectures with timm
from ..utils import files
from ..utils.errors import ConfigError

NAME = "config.json"
KEY = "cifarnet"  # root key of everything that timm does not know
VERSION = 1
MAX_BYTES = 2**20
MAX_CLASSES = 100_000
MAX_WIDTH = 65_536
MAX_DEPTH = 1000  # convolutions in all
IMAGE_SIZES = range(16, 1025)

PRETRAINED_KEYS = {field.name for field in dataclasses.fields(PretrainedCfg)}


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a config card and checks everything in it that this code relies on.

    Args:
        path: The file config.json.

    Returns:
        The card as it stands in the file, with sequences inside `pretrained_cfg` as tuples.

    Raises:
        ConfigError: naming the key, its value and the remedy.
    """
    path = Path(path)
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise ConfigError(
            f"{path} has {path.stat().st_size:,} bytes, at most {MAX_BYTES:,} are read; it is not "
            "the config card of a model."
        )
    try:
        content = files.read_json(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from None
    return check(content, str(path))


def check(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Checks a config card; see `load`.

    Args:
        content: What the JSON file holds.
        where: Names the card in messages.

    Raises:
        ConfigError: naming the key, its value and the remedy.
    """
    known = timm.list_models("cifarnet_*")
    architecture = content.get("architecture")
    if architecture not in known:
        raise ConfigError(
            f"{where}: architecture {_short(architecture)} is unknown here; only "
            f"{', '.join(known)} can be loaded."
        )
    classes: Any = content.get("num_classes")
    if not _is_int(classes, 1, MAX_CLASSES):
        raise ConfigError(
            f"{where}: num_classes is {_short(classes)}; a whole number from 1 to {MAX_CLASSES} "
            "was expected."
        )
    _check_labels(content.get("label_names"), classes, where)
    _check_ours(content.get(KEY), where)
    _check_arguments(content.get("model_args", {}), classes, where)
    return {**content, "pretrained_cfg": _check_pretrained(content.get("pretrained_cfg"), where)}


def check_label_names(names: Sequence[str], classes: int) -> list[str]:
    """Checks the names of a network's classes.

    Raises:
        ConfigError: If they are not `classes` different, non-empty strings.
    """
    names = [names] if isinstance(names, str) else list(names)
    _check_labels(names, classes, "label_names")
    return names


def _check_labels(names: Any, classes: int, where: str) -> None:
    if names is None:
        return
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(
            f"{where}: label_names is {_short(names)}; a list of names was expected, one a class."
        )
    if len(names) != classes:
        raise ConfigError(
            f"{where}: there are {len(names)} label names for {classes} classes; name every class "
            "once."
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(
            f"{where}: the label name {_short(twice)} stands for two classes; give each its own."
        )


def _check_ours(ours: Any, where: str) -> None:
    if ours is None:
        return
    if not isinstance(ours, dict) or not _is_int(ours.get("version"), 1, 10**6):
        raise ConfigError(
            f"{where}: {KEY} is {_short(ours)}; an object with a version number was expected."
        )
    if ours["version"] > VERSION:
        raise ConfigError(
            f"{where}: {KEY}.version is {ours['version']}, this code reads up to {VERSION}; "
            "install a newer cifarnet."
        )
    for key in ("recipe", "data"):
        if not isinstance(ours.get(key, {}), dict):
            raise ConfigError(
                f"{where}: {KEY}.{key} is {_short(ours[key])}; an object was expected."
            )
    data = ours.get("data", {})
    if not isinstance(data.get("name", ""), str):
        raise ConfigError(f"{where}: {KEY}.data.name is {_short(data['name'])}; give a text.")
    if not _is_int(data.get("image_size", 32), IMAGE_SIZES[0], IMAGE_SIZES[-1]):
        raise ConfigError(
            f"{where}: {KEY}.data.image_size is {_short(data['image_size'])}; a whole number from "
            f"{IMAGE_SIZES[0]} to {IMAGE_SIZES[-1]} was expected."
        )


def _check_arguments(args: Any, classes: int, where: str) -> None:
    """Checks what goes into the network's constructor, so that building it stays cheap."""
    if not isinstance(args, dict):
        raise ConfigError(f"{where}: model_args is {_short(args)}; an object was expected.")
    known = {"num_classes", "in_chans", "global_pool", "stem_width", "widths", "depths"}
    if unknown := sorted(args.keys() - known):
        raise ConfigError(
            f"{where}: model_args has unknown keys {_short(unknown)}; known are "
            f"{', '.join(sorted(known))}."
        )
    widths, depths = args.get("widths", [1]), args.get("depths", [1])
    fine = {
        "num_classes": args.get("num_classes", classes) == classes,
        "in_chans": args.get("in_chans", 3) == 3,
        "global_pool": isinstance(args.get("global_pool", "max"), str),
        "stem_width": _is_int(args.get("stem_width", 1), 1, MAX_WIDTH),
        "widths": _are_ints(widths, MAX_WIDTH),
        "depths": _are_ints(depths, MAX_DEPTH) and sum(depths) <= MAX_DEPTH,
    }
    for key, good in fine.items():
        if not good:
            raise ConfigError(
                f"{where}: model_args.{key} is {_short(args[key])}, which no network here can "
                "have; restore the file or download it again."
            )


def _check_pretrained(cfg: Any, where: str) -> dict[str, Any]:
    if not isinstance(cfg, dict):
        raise ConfigError(f"{where}: pretrained_cfg is {_short(cfg)}; an object was expected.")
    if unknown := sorted(cfg.keys() - PRETRAINED_KEYS):
        raise ConfigError(
            f"{where}: pretrained_cfg has unknown keys {_short(unknown)}, which timm refuses; "
            "remove them."
        )
    size: Any = cfg.get("input_size")
    if not (
        _are_ints(size, IMAGE_SIZES[-1])
        and len(size) == 3
        and size[0] == 3
        and size[1] == size[2]
        and size[1] in IMAGE_SIZES
    ):
        raise ConfigError(
            f"{where}: pretrained_cfg.input_size is {_short(size)}; [3, S, S] was expected, S from "
            f"{IMAGE_SIZES[0]} to {IMAGE_SIZES[-1]}."
        )
    for key, low in (("mean", -math.inf), ("std", 0)):
        values = cfg.get(key)
        if not (
            isinstance(values, list | tuple)
            and len(values) == 3
            and all(isinstance(v, int | float) and math.isfinite(v) and v > low for v in values)
        ):
            raise ConfigError(
                f"{where}: pretrained_cfg.{key} is {_short(values)}; three finite numbers were "
                f"expected{', above 0' if key == 'std' else ''}."
            )
    return {k: tuple(v) if isinstance(v, list) else v for k, v in cfg.items()}


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _are_ints(values: Any, high: int) -> bool:
    return isinstance(values, list | tuple) and all(_is_int(value, 1, high) for value in values)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
