"""config.json: timm's hub schema and one key of our own, checked before anything is built."""

import dataclasses
import functools
import math
import os
import unicodedata
from collections.abc import Callable, Iterable
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
SIDES = range(16, 1025)
SIZES = f"from {SIDES[0]} to {SIDES[-1]}"

NO_TEXT = ("Cc", "Cs", "Zl", "Zp")  # Unicode's controls, surrogates and separators of lines

SHAPE = {"stem_width", "widths", "depths"}  # of our networks; timm's others have fixed ones
RATES = {"drop_rate", "drop_path_rate", "drop_block_rate"}
ARGUMENTS = {"num_classes", "in_chans", "global_pool"} | SHAPE | RATES
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
    return check(files.read_json(path), str(path))


def check(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Checks a config card; see `load`.

    Args:
        content: What the JSON file holds.
        where: Names the card in messages.
    """
    for path, (missing, fits, wanted) in _rules(content.get("num_classes")).items():
        *above, key = path.split(".")
        place = functools.reduce(lambda place, name: place.get(name) or {}, above, content)
        if not fits(value := place.get(key, missing)):
            raise ConfigError(f"{where}: {path} is {_short(value)}; {wanted} was expected.")
    arguments = ARGUMENTS if content["architecture"] in OURS else ARGUMENTS - SHAPE
    for key, known in (("model_args", arguments), ("pretrained_cfg", PRETRAINED_KEYS)):
        if unknown := sorted(content.get(key, {}).keys() - known):
            raise ConfigError(
                f"{where}: {key} has unknown keys {', '.join(unknown)[:80]}; known are "
                f"{', '.join(sorted(known))}."
            )
    if (names := content.get("label_names")) is not None:
        check_label_names(names, content["num_classes"], where)
    cfg = {k: tuple(v) if isinstance(v, list) else v for k, v in content["pretrained_cfg"].items()}
    return {**content, "pretrained_cfg": cfg}


def _rules(classes: Any) -> dict[str, tuple[Any, Callable[[Any], bool], str]]:
    """Of each key, by its path: what it is if left out, whether a value fits, and what would.

    Arguments of the network's constructor have limits so that building it stays cheap.
    """
    whole, usable = f"a whole number from 1 to {MAX_CLASSES}", "what a network here can have"
    known, version = "the name of a network of timm", f"{VERSION}, or a newer cifarnet to read it,"
    an_object: Any = ({}, lambda v: isinstance(v, dict), "an object")
    numbers = "a list of three finite numbers"
    return {
        "architecture": (None, lambda v: isinstance(v, str) and timm.is_model(v), known),
        "num_classes": (None, lambda v: _is_int(v, 1, MAX_CLASSES), whole),
        "label_names": (None, lambda v: v is None or isinstance(v, list), "a list of names"),
        KEY: (None, lambda v: v is None or isinstance(v, dict), "an object"),
        f"{KEY}.version": (1, lambda v: _is_int(v, 1, VERSION), version),
        f"{KEY}.recipe": an_object,
        f"{KEY}.data": an_object,
        f"{KEY}.data.name": ("", lambda v: isinstance(v, str), "a text"),
        f"{KEY}.data.image_size": (32, _is_side, f"a whole number {SIZES}"),
        "model_args": an_object,
        "model_args.num_classes": (classes, lambda v: v == classes, usable),
        "model_args.in_chans": (3, lambda v: v == 3, usable),
        "model_args.stem_width": (1, lambda v: _is_int(v, 1, MAX_WIDTH), usable),
        "model_args.widths": ([1], lambda v: _are_ints(v, MAX_WIDTH), usable),
        "model_args.depths": ([1], lambda v: _are_ints(v) and sum(v) <= MAX_DEPTH, usable),
        "pretrained_cfg": (None, lambda v: isinstance(v, dict), "an object"),
        "pretrained_cfg.input_size": (None, _is_size, f"[3, S, S], S {SIZES},"),
        "pretrained_cfg.mean": (None, _are_finite, numbers),
        "pretrained_cfg.std": (None, lambda v: _are_finite(v) and min(v) > 0, f"{numbers} above 0"),
    }


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
            raise ConfigError(
                f"{where}: the label name {_short(name)} {problem}; give each class its own."
            )
        seen.add(name)
    if classes not in (None, len(seen)):
        raise ConfigError(
            f"{where} has {len(seen)} label names for {classes} classes; name every class once."
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_side(value: Any) -> bool:
    return _is_int(value, SIDES[0], SIDES[-1])


def _is_size(value: Any) -> bool:
    square = _are_ints(value) and len(value) == 3 and value[1] == value[2]
    return square and value[0] == 3 and _is_side(value[1])


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _are_ints(values: Any, high: int = 10**6) -> bool:
    return isinstance(values, list | tuple) and all(_is_int(value, 1, high) for value in values)


def _are_finite(values: Any) -> bool:
    whole = isinstance(values, list | tuple) and len(values) == 3
    return whole and all(isinstance(v, int | float) and math.isfinite(v) for v in values)
