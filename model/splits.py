"""From an opened dataset to what a training run needs: batches, validation images, statistics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import data
from .recipe import DataOptions, Recipe
from .utils.errors import ConfigError, DataError

SAMPLE = 10_000  # training images that statistics come from where all of them do not fit in memory
WHITENING_SAMPLE = 5_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TrainingData:
    """Everything that training reads; the test split is not among it."""

    source: data.Source
    batches: data.Batches
    validation: data.Split | None
    """Held-back training images, on the device."""
    sample: Tensor
    """Random training images for the whitening layer, uint8 (n, 3, S, S)."""
    mean: tuple[float, ...]
    """Of each channel of the training images, in [0, 1]."""
    std: tuple[float, ...]
    """Of each channel of the training images, in [0, 1]."""
    outliers: Tensor | None
    """Pictures of none of the classes, uint8 (M, 3, S, S) on the device; None: there are none."""
    sizes: dict[str, int]
    """Images for "train" and "validation"."""
    cached: bool
    """Whether the training images are in memory."""


def prepare(
    options: DataOptions,
    recipe: Recipe,
    *,
    cache_limit: float,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
    progress: Progress | None = None,
) -> TrainingData:
    """Opens a dataset, splits it, and reads what fits in memory.

    Args:
        options: Which dataset, and how to read it.
        recipe: Batch size, validation size and seed.
        cache_limit: GiB of pixels up to which the training images are decoded once and kept,
            where `options` do not say.
        device: Where images go.
        rank: This process.
        world_size: Processes that share each batch.
        progress: Called with images read and images in all.

    Raises:
        DataError: If the dataset cannot be used, or has no training image of a class.
        ConfigError: If the validation size leaves nothing to train on.
    """
    source = data.open_dataset(
        options.name,
        image_column=options.image_column,
        label_column=options.label_column,
        image_size=options.image_size,
    )
    source.tolerate(options.max_bad_images)
    if recipe.batch_size % world_size:
        raise ConfigError(
            f"--batch-size {recipe.batch_size} cannot be shared evenly by {world_size} processes; "
            f"choose a multiple of {world_size}."
        )
    train, held_back = _hold_back(source, recipe)
    generator = torch.Generator().manual_seed(recipe.seed)
    some = train[torch.randperm(len(train), generator=generator)[:SAMPLE]].sort().values
    cached = options.cached
    if cached is None:
        cached = source.nbytes("train") <= cache_limit * 2**30
    rows = _Rows(train, held_back, some)
    read = (_read_all if cached else _read_some)(source, rows, device, progress)
    mean, std = data.channel_statistics(read.train.images if read.train else read.sample)
    shared = dict(seed=recipe.seed, rank=rank, world_size=world_size)
    drawn = torch.randperm(len(read.sample), generator=generator)[:WHITENING_SAMPLE]
    outliers = None
    if options.outliers:
        names = source.label_names
        outliers = load_outliers(options.outliers, names, options.image_size, device)
    return TrainingData(
        source=source,
        batches=_batches(source, read, recipe.batch_size, device, shared),
        validation=read.validation if len(read.rows.held_back) else None,
        sample=read.sample[drawn],  # (n, 3, S, S)
        mean=mean,
        std=std,
        outliers=outliers,
        sizes={"train": len(read.rows.train), "validation": len(read.rows.held_back)},
        cached=cached,
    )


# One class of each of CIFAR-100's twenty groups is never trained on, not even as an outlier: on its
# test images of these, what was learned about strange pictures is measured.
HELD_OUT = frozenset(
    """
    apple aquarium_fish baby bear beaver bed bee bicycle bottle camel castle clock cloud crab
    crocodile fox hamster lawn_mower maple_tree orchid
    """.split()  # noqa: SIM905
)


def load_outliers(
    name: str, known: Sequence[str], image_size: int, device: torch.device, most: int = 60_000
) -> Tensor:
    """Reads pictures of none of the classes, in memory.

    Args:
        name: Of a dataset, see `open_dataset`.
        known: Classes of the pictures that are classified: outliers of the same names, and of
            those in `HELD_OUT`, are left out.
        image_size: Side in pixels.
        device: Where they go.
        most: Pictures, evenly spread over the dataset, that are read at most.

    Returns:
        uint8 (M, 3, S, S).
    """
    source = data.open_dataset(name, image_size=image_size)
    usable = torch.tensor([n not in HELD_OUT | set(known) for n in source.label_names])
    rows = usable[source.labels("train")].nonzero().flatten()  # (M,)
    if not len(rows):
        raise DataError(f"{name} (--outliers) has no picture of another class; name another one.")
    rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), most)).long()]
    return source.load("train", rows, device=device).images


@dataclass(frozen=True)
class _Rows:
    """Of the training split, each kind rising."""

    train: Tensor
    held_back: Tensor
    sample: Tensor
    """Those among `train` that the whitening layer, and streamed data's statistics, come from."""

    def without_bad(self, source: data.Source) -> "_Rows":
        return _Rows(*(source.without_bad(x) for x in (self.train, self.held_back, self.sample)))


@dataclass(frozen=True)
class _Read:
    """What is in memory when training begins."""

    rows: _Rows
    """Without those that cannot be decoded."""
    train: data.Split | None
    """None where training images are streamed."""
    validation: data.Split
    sample: Tensor
    """uint8 (n, 3, S, S)."""


def _read_all(
    source: data.Source, rows: _Rows, device: torch.device, progress: Progress | None
) -> _Read:
    """Every image is decoded once and kept."""
    every = source.load("train", device=device, progress=progress)
    rows = rows.without_bad(source)
    train = _pick(every, rows.train)
    sample = train.images[torch.searchsorted(rows.train, rows.sample).to(device)]
    return _Read(rows, train, _pick(every, rows.held_back), sample)


def _read_some(
    source: data.Source, rows: _Rows, device: torch.device, progress: Progress | None
) -> _Read:
    """Only a sample and the validation images are kept; the others are streamed in every epoch."""
    seen = source.load("train", rows.sample, device=device, progress=progress)
    validation = source.load("train", rows.held_back, device=device)
    if source.bad:
        rows = rows.without_bad(source)
        seen, validation = _only(seen, rows.sample), _only(validation, rows.held_back)
    return _Read(rows, None, validation, seen.images)


def _batches(
    source: data.Source, read: _Read, size: int, device: torch.device, shared: dict[str, int]
) -> data.Batches:
    if read.train:
        return data.CachedBatches(read.train, size, **shared)
    return data.StreamedBatches(source, read.rows.train, size, device=device, **shared)


def _hold_back(source: data.Source, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows for validation, both rising."""
    labels = source.labels("train")
    val_size = len(labels) // 10 if recipe.val_size < 0 else recipe.val_size
    if val_size >= len(labels):
        raise ConfigError(
            f"--val-size {val_size} leaves none of the {len(labels)} training images to "
            "train on; choose a smaller one."
        )
    train, held_back = data.train_validation_split(labels, val_size, recipe.seed)
    _check_classes(source, labels[train])
    return train, held_back


def _check_classes(source: data.Source, labels: Tensor) -> None:
    counts = labels.bincount(minlength=len(source.label_names)).tolist()
    missing = [name for name, n in zip(source.label_names, counts, strict=True) if n == 0]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise DataError(
            f"{source.name} has no image to train on of {len(missing)} of its "
            f"{len(source.label_names)} classes ({shown}). Add some, or take the class out of the "
            "dataset's label names; with very few images, --val-size 0 holds none of them back."
        )


def _only(split: data.Split, rows: Tensor) -> data.Split:
    """The images of a split that come from some rows of the dataset."""
    return _pick(split, torch.isin(split.indices.cpu(), rows).nonzero().flatten())


def _pick(split: data.Split, positions: Tensor) -> data.Split:
    rows = positions.to(split.labels.device)
    return data.Split(split.images[rows], split.labels[rows], split.indices[rows])
