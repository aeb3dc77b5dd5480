"""config.json: timm's hub schema and one key of our own, checked before anything is built."""

import dataclasses
import math
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import timm
from timm.models import PretrainedCfg

from .. import network as network  # registers the architectures with timm
from ..recipe import OURS
from ..utils import files
from ..utils.errors import ConfigError

NAME = "config.json"
KEY = "cifarnet"  # root key of everything that timm does not know
VERSION = 1
MAX_CLASSES = 100_000
LONGEST_NAME = 255  # characters of a class's name, as of a folder's
MAX_BYTES = 2**20 + MAX_CLASSES * 4 * LONGEST_NAME  # of a card: up to four a character
MAX_WIDTH = 65_536
MAX_DEPTH = 1000  # convolutions in all
IMAGE_SIZES = range(16, 1025)
SIZES = f"from {IMAGE_SIZES[0]} to {IMAGE_SIZES[-1]}"

NO_TEXT = ("Cc", "Cs", "Zl", "Zp")  # Unicode's controls, surrogates and separators of lines

RATES = ("drop_rate", "drop_path_rate", "drop_block_rate")
SHAPE = {"stem_width", "widths", "depths"}  # of our networks; timm's others have fixed ones
ARGUMENTS = {"num_classes", "in_chans", "global_pool", *SHAPE, *RATES}
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
    """
    name = content.get("architecture")
    known = isinstance(name, str) and timm.is_model(name)
    _require("architecture", content, known, "the name of a network of timm", where)
    classes: Any = content.get("num_classes")
    wanted = f"a whole number from 1 to {MAX_CLASSES}"
    _require("num_classes", content, _is_int(classes, 1, MAX_CLASSES), wanted, where)
    if (names := content.get("label_names")) is not None:
        _require("label_names", content, isinstance(names, list), "a list of names", where)
        check_label_names(names, classes, where)
    _check_ours(content, where)
    _check_arguments(content, classes, where)
    return {**content, "pretrained_cfg": _check_pretrained(content, where)}


def check_label_names(
    names: Iterable[str], classes: int | None = None, where: str = "The dataset"
) -> None:
    """Checks the names of classes as saving does, which costs nothing before training.

    Args:
        names: Of all classes.
        classes: How many there are; None is as many as there are names.
        where: Names their source in messages.

    Raises:
        ConfigError: Names the first that is no text, empty, longer than `LONGEST_NAME`, holds
            control characters or halves of characters, or stands for two classes.
    """
    seen: set[str] = set()
    for name in [names] if isinstance(names, str) else names:
        problem = ""
        if not isinstance(name, str):
            problem = "is no text"
        elif not name.strip():
            problem = "is empty"
        elif len(name) > LONGEST_NAME:
            problem = f"has {len(name):,} characters, at most {LONGEST_NAME} are allowed"
        elif any(unicodedata.category(char) in NO_TEXT for char in name):
            problem = "holds a character that is no text, such as a line break"
        elif name in seen:
            problem = "stands for two classes"
        if problem:
            shown = repr(name) if len(repr(name)) <= 80 else f"{repr(name)[:77]}..."
            raise ConfigError(
                f"{where}: the label name {shown} {problem}; give each class its own."
            )
        seen.add(name)
    if classes not in (None, len(seen)):
        raise ConfigError(
            f"{where} has {len(seen)} label names for {classes} classes; name every class once."
        )


def _require(key: str, content: dict[str, Any], good: bool, wanted: Any, where: str) -> None:
    """Refuses the value of a key, which may be a path such as "cifarnet.data.name"."""
    if good:
        return
    value = content.get(key.rpartition(".")[2])
    text = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
    wanted = wanted if isinstance(wanted, str) else f"one of {', '.join(wanted)}"
    raise ConfigError(f"{where}: {key} is {text}; {wanted} was expected.")


def _check_ours(content: dict[str, Any], where: str) -> None:
    ours = content.get(KEY)
    if ours is None:
        return
    numbered = isinstance(ours, dict) and _is_int(ours.get("version"), 1, 10**6)
    _require(KEY, content, numbered, "an object with a version number", where)
    if ours["version"] > VERSION:
        raise ConfigError(
            f"{where}: {KEY}.version is {ours['version']}, this code reads up to {VERSION}; "
            "install a newer cifarnet."
        )
    for key in ("recipe", "data"):
        _require(f"{KEY}.{key}", ours, isinstance(ours.get(key, {}), dict), "an object", where)
    data = ours.get("data", {})
    _require(f"{KEY}.data.name", data, isinstance(data.get("name", ""), str), "a text", where)
    fits = _is_int(data.get("image_size", 32), IMAGE_SIZES[0], IMAGE_SIZES[-1])
    _require(f"{KEY}.data.image_size", data, fits, f"a whole number {SIZES}", where)


def _check_arguments(content: dict[str, Any], classes: int, where: str) -> None:
    """Checks what goes into the network's constructor, so that building it stays cheap."""
    args = content.get("model_args", {})
    _require("model_args", content, isinstance(args, dict), "an object", where)
    ours = content["architecture"] in OURS
    _refuse_unknown("model_args", args, ARGUMENTS if ours else ARGUMENTS - SHAPE, where)
    depths = args.get("depths", [1])
    fine = {
        "num_classes": args.get("num_classes", classes) == classes,
        "in_chans": args.get("in_chans", 3) == 3,
        "global_pool": isinstance(args.get("global_pool", "max"), str),
        "stem_width": _is_int(args.get("stem_width", 1), 1, MAX_WIDTH),
        "widths": _are_ints(args.get("widths", [1]), MAX_WIDTH),
        "depths": _are_ints(depths, MAX_DEPTH) and sum(depths) <= MAX_DEPTH,
        **{key: isinstance(r := args.get(key, 0), int | float) and 0 <= r <= 1 for key in RATES},
    }
    for key, good in fine.items():
        _require(f"model_args.{key}", args, good, "what a network here can have", where)


def _check_pretrained(content: dict[str, Any], where: str) -> dict[str, Any]:
    cfg: Any = content.get("pretrained_cfg")
    _require("pretrained_cfg", content, isinstance(cfg, dict), "an object", where)
    _refuse_unknown("pretrained_cfg", cfg, PRETRAINED_KEYS, where)  # as timm does
    size = cfg.get("input_size")
    square = _are_ints(size, IMAGE_SIZES[-1]) and len(size) == 3 and size[1] == size[2]
    fits = square and size[0] == 3 and size[1] in IMAGE_SIZES
    _require("pretrained_cfg.input_size", cfg, fits, f"[3, S, S], S {SIZES},", where)
    for key, low in (("mean", -math.inf), ("std", 0)):
        values = cfg.get(key)
        finite = (
            isinstance(values, list | tuple)
            and len(values) == 3
            and all(isinstance(v, int | float) and math.isfinite(v) and v > low for v in values)
        )
        wanted = f"a list of three finite numbers{' above 0' if key == 'std' else ''}"
        _require(f"pretrained_cfg.{key}", cfg, finite, wanted, where)
    return {k: tuple(v) if isinstance(v, list) else v for k, v in cfg.items()}


def _refuse_unknown(key: str, content: dict[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(content.keys() - known):
        raise ConfigError(
            f"{where}: {key} has unknown keys {', '.join(unknown)[:80]}; known are "
            f"{', '.join(sorted(known))}."
        )


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _are_ints(values: Any, high: int) -> bool:
    return isinstance(values, list | tuple) and all(_is_int(value, 1, high) for value in values)
