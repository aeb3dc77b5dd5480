"""Command line of train.py: a recipe, single fields over it, and where data and results are."""

import argparse
import dataclasses
import difflib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

from .recipe import (
    FEW,
    FEW_FROM_TRAINED,
    OURS,
    RECIPES,
    SYNTHETIC,
    DataOptions,
    Recipe,
    for_few_images,
)
from .utils import files
from .utils.errors import ConfigError, TrainingError
from .utils.root import INSTALLED

DEFAULT_DATASET = "uoft-cs/cifar10"
CACHE_LIMIT = 4.0  # GiB
IMAGE_SIZES = (24, 96)  # pixels
# Options of this machine and hour: none changes what a run computes, and none is saved with it.
HERE = {"track", "threads", "resume", "push_to_hub", "compile", "deterministic"}


@dataclass(frozen=True)
class Options:
    """Everything that was asked for on the command line."""

    recipe: Recipe
    asked: dict[str, Any] | None
    """Fields that hold also for few training images; None where a recipe was named."""
    data: DataOptions
    cache_limit: float
    """GiB."""
    output: Path
    track: str | None = None
    threads: int | None = None
    resume: Path | None = None
    push_to_hub: str | None = None
    compile: bool = False
    """Whether the network is compiled."""
    deterministic: bool = False
    """Whether a GPU computes the same bits in every run."""
    check_data: bool = False
    """Whether the dataset is only looked through."""

    def plan_for(self, images: int) -> tuple[Recipe, DataOptions]:
        """What is done with so many training images, and with which data."""
        if self.asked is None:
            return self.recipe, self.data
        trained = self.data.init_from or self.recipe.pretrained
        if images <= (FEW_FROM_TRAINED if trained else FEW):
            return for_few_images(images, self.data, **self.asked)
        # Twenty steps an epoch, or there would be too few to learn in; 80 are shared evenly by two
        # processes, and by 4, 5, 8, 10 and 16.
        batch = min(self.recipe.batch_size, images // 1600 * 80)
        recipe = dataclasses.replace(self.recipe, **{"batch_size": batch} | self.asked)
        return recipe, self.data


def parse(arguments: list[str] | None = None) -> Options:
    """Reads the command line.

    Raises:
        ConfigError: If options are out of range or contradict each other.
        SystemExit: On --help and on unknown options, as argparse does.
    """
    parser = _parser()
    args = parser.parse_args(arguments)
    given = {k: v for k, v in vars(args).items() if v is not None}
    if args.threads is not None and args.threads < 1:
        raise ConfigError(f"--threads {args.threads} is out of range: at least 1.")
    here = {name: given[name] for name in HERE & given.keys()}
    if args.resume:
        return _resumed(args, given, here)
    recipe, data = _base(args)
    names = {field.name for field in dataclasses.fields(Recipe)} - {"name"}
    fields = {k: v for k, v in given.items() if k in names}
    overrides = {f.name: given[f.name] for f in dataclasses.fields(DataOptions) if f.name in given}
    data = dataclasses.replace(data, **overrides)
    if args.init_from:
        fields["network"], size = network_of(args.init_from)
        if args.network not in (None, fields["network"]):
            raise ConfigError(
                f"--network {args.network}: {args.init_from} is a {fields['network']}; leave "
                "out --network or --init-from."
            )
        if args.image_size is None:
            data = dataclasses.replace(data, image_size=size)
    recipe = dataclasses.replace(recipe, **fields)
    if not (data.init_from or recipe.network in OURS):
        own_size = size_for_timm(recipe.network)
        if args.image_size is None and not args.from_config:
            data = dataclasses.replace(data, image_size=own_size)
    _check(recipe, data)
    limit = CACHE_LIMIT if args.cache_limit is None else args.cache_limit
    if not limit >= 0:
        raise ConfigError(f"--cache-limit {limit} is out of range: 0 GiB or more.")
    if args.cache_limit is not None:
        data = dataclasses.replace(data, cached=None)
    output = args.output or Path("runs", f"{recipe.network}-{datetime.now():%Y%m%d-%H%M%S}")
    named = args.recipe or args.from_config or data.name == SYNTHETIC
    asked = None if named else fields
    return Options(recipe, asked, data, limit, output, check_data=bool(args.check_data), **here)


def _check(recipe: Recipe, data: DataOptions) -> None:
    """Refuses what is fine alone, but not together, and numbers that are out of range."""
    if recipe.pretrained and data.init_from:
        raise ConfigError("--pretrained and --init-from both name weights: give one of them.")
    if recipe.freeze and not (recipe.pretrained or data.init_from):
        raise ConfigError(
            "--freeze keeps trained weights: name some with --init-from or --pretrained."
        )
    low, high = IMAGE_SIZES
    if not low <= data.image_size <= high:
        raise ConfigError(
            f"--image-size {data.image_size} is out of range: {low} to {high} pixels."
        )
    if data.max_bad_images < 0:
        raise ConfigError(f"--max-bad-images {data.max_bad_images} is out of range: 0 or more.")
    for name in ("translate", "cutout"):
        if getattr(recipe, name) >= data.image_size:
            raise ConfigError(
                f"--{name} {getattr(recipe, name)} is out of range: below the images' "
                f"{data.image_size} pixels."
            )


def size_for_timm(name: str) -> int:
    """Side of the images for a network that is timm's, not ours: its own, or the largest here.

    Raises:
        ConfigError: If timm has no such network.
    """
    import timm  # brings torch, for which --help need not wait

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, [*OURS, *timm.list_models()], 3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(
            f"--network {name} is unknown: choose {', '.join(OURS)}, or a convolutional network of "
            f"timm.{hint}"
        )
    card = timm.get_pretrained_cfg(name)
    return min(card.input_size[-1] if card else IMAGE_SIZES[1], IMAGE_SIZES[1])


def network_of(model: str) -> tuple[str, int]:
    """The architecture of a saved model and the side of its images, which training keeps.

    Raises:
        CifarnetError: If there is no such model.
    """
    from .hub import read_config  # brings torch, for which --help need not wait

    card = read_config(model)
    _, size, _ = card["pretrained_cfg"].get("input_size", (3, DataOptions.image_size, 0))
    return card["architecture"], size


def _base(args: argparse.Namespace) -> tuple[Recipe, DataOptions]:
    """Recipe and data before single flags override them."""
    if args.from_config:
        if args.recipe:
            raise ConfigError("--recipe and --from-config both name a recipe: give one of them.")
        ours = files.read_json(args.from_config).get("cifarnet")
        ours = ours if isinstance(ours, dict) else {}
        recipe, data = ours.get("recipe"), ours.get("data")
        if not isinstance(recipe, dict) or not isinstance(data, dict):
            raise ConfigError(
                f"{args.from_config} holds no training recipe; name the config.json of a run."
            )
        if args.dataset:  # another dataset: columns and fingerprint of the first say nothing
            size = data.get("image_size", DataOptions.image_size)
            kept = DataOptions(
                args.dataset,
                image_size=size,
                outliers=data.get("outliers"),
                init_from=data.get("init_from"),
            )
            return Recipe.from_dict(recipe), kept
        return Recipe.from_dict(recipe), data_of_run(args.from_config, data)
    dataset = args.dataset or DEFAULT_DATASET
    name = args.recipe or ("tiny" if dataset == SYNTHETIC else "default")
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"--recipe {name} is unknown: choose from {', '.join(RECIPES)}{hint}")
    return RECIPES[name], DataOptions(dataset)


def data_of_run(config: Path, published: dict[str, Any]) -> DataOptions:
    """Which data a run read: its checkpoint knows a local folder's path, which is not published.

    Args:
        config: The run's config.json.
        published: What it holds as `cifarnet.data`, by which we go where there is no checkpoint.

    Raises:
        ConfigError: If that names no dataset, or is damaged.
    """
    from .checkpoint import load_checkpoint  # brings torch, for which --help need not wait

    with suppress(TrainingError):
        _, values = load_checkpoint(config.parent)
        return DataOptions(**values["data"] | {"fingerprint": values["fingerprint"]})
    kinds = get_type_hints(DataOptions)
    kept = {k: v for k, v in published.items() if k in kinds}
    wrong = sorted(k for k, v in kept.items() if not isinstance(v, kinds[k]))
    if wrong or "name" not in kept:
        raise ConfigError(
            f"{config}: cifarnet.data "
            + (f"has a wrong {wrong[0]}" if wrong else "names no dataset")
            + "; restore the file, or name a dataset with --dataset."
        )
    return DataOptions(**kept)


def _resumed(args: argparse.Namespace, given: dict[str, Any], here: dict[str, Any]) -> Options:
    """A resumed run has its options in its checkpoint; only those of this machine may change."""
    fixed = sorted(given.keys() - HERE - {"max_bad_images"})
    if fixed:
        flags = ", ".join("--" + name.replace("_", "-") for name in fixed)
        raise ConfigError(f"--resume goes on with the run's own options: leave out {flags}.")
    # Placeholders: train.py takes recipe and data from the checkpoint.
    data = DataOptions(DEFAULT_DATASET, max_bad_images=given.get("max_bad_images", 0))
    return Options(Recipe(), None, data, CACHE_LIMIT, args.resume, **here)


def _resolution(text: str) -> tuple[tuple[float, float], ...]:
    """Reads "0.4:0.75,1:1"."""
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return tuple((float(end), float(scale)) for end, scale in pairs)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not share:scale,... such as 0.4:0.75,1:1"
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cifarnet.train" if INSTALLED else "train.py",
        description="Trains an image classifier; `accelerate launch` starts it on several devices.",
    )
    add = parser.add_argument
    add(
        "--dataset",
        metavar="DIR_OR_ID",
        help="hub id, local folder in hub layout, folder of class folders, or "
        f"'{SYNTHETIC}' (generated, no network) (default: {DEFAULT_DATASET})",
    )
    add("--image-column", help="column of the images (default: found by type)")
    add("--label-column", help="column of the labels (default: found by type and name)")
    add(
        "--image-size",
        type=int,
        help="side the images are scaled to, in pixels (default: 32, for other networks of timm "
        "their own, at most 96)",
    )
    add(
        "--cache-limit",
        type=float,
        metavar="GIB",
        help="larger datasets are streamed in every epoch, in GiB of pixels "
        f"(default: {CACHE_LIMIT:g})",
    )
    add(
        "--max-bad-images",
        type=int,
        metavar="N",
        help="images of each split that may be left out because they cannot be decoded",
    )
    add(
        "--outliers",
        metavar="DIR_OR_ID",
        help="a dataset of pictures of none of the classes, to learn from them, and from generated "
        f"shapes, what is strange (default: no; with few images {SYNTHETIC}: shapes, and noise); "
        "classes of the same names are left out",
    )
    add(
        "--init-from",
        metavar="DIR_OR_ID",
        help="a saved model to go on from; a new classifier where classes differ (default: no)",
    )
    _add_run_options(parser)
    recipe = parser.add_argument_group("recipe (defaults are those of the recipe named default)")
    recipe.add_argument(
        "--recipe",
        metavar="NAME",
        help=f"{', '.join(RECIPES)} (default: default; of few images small, for {SYNTHETIC} tiny)",
    )
    for field in dataclasses.fields(Recipe):
        if field.name != "name":
            _add_field(recipe, field)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    """Where results go, and what is of this machine and hour."""
    add = parser.add_argument
    for switch, told in (
        ("--check-data", "read all images once, say what is there and what is wrong, and end"),
        ("--compile", "compile the network first, once a resolution, with torch's own kernels"),
        ("--deterministic", "the same weights from a seed also on a GPU, bit for bit; slower"),
    ):
        add(switch, action="store_true", default=None, help=told)
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder of the run, new or empty (default: runs/NETWORK-TIME)",
    )
    add("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")
    add("--from-config", type=Path, metavar="FILE", help="repeat the run that wrote config.json")
    add("--threads", type=int, metavar="N", help="CPU threads a process (default: all cores)")
    add(
        "--track", metavar="NAME", help="also log to trackio, tensorboard, wandb, ... (default: no)"
    )
    add("--push-to-hub", metavar="OWNER/NAME", help="send the finished model there (default: no)")


def _add_field(group: Any, field: dataclasses.Field[Any]) -> None:
    flag = "--" + field.name.replace("_", "-")
    shown = field.default
    if field.name == "resolution":
        shown = ",".join(f"{end:g}:{scale:g}" for end, scale in field.default)  # type: ignore[union-attr]
    text = f"{field.metadata['help']} (default: {shown})".replace("%", "%%")
    if field.type is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        return
    kind = _resolution if field.name == "resolution" else field.type
    group.add_argument(flag, type=kind, help=text, metavar=field.name.split("_")[-1].upper())
