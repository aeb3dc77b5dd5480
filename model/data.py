"""The way of the data: files of a dataset -> splits -> uint8 (N, 3, S, S) -> batches on the device.

`open_dataset` finds images and labels, and decodes nothing. `load_training_data` then gives a run
one of two loaders: of all images in memory, decoded once; or, where they do not fit, of images that
are read from the files and decoded again in every epoch.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from .recipe import SYNTHETIC, DataOptions, Recipe
from .utils.errors import ConfigError, DataError
from .utils.files import public_name
from .utils.shards import ImageDataset, LabelledImages, Progress, Row, ShardedSplit
from .utils.streams import Found, find_classes, find_columns, find_streams
from .utils.synthetic import SIZES, noise, synthetic

SAMPLE = 10_000  # training images that statistics come from where not all of them are in memory
WHITENING_SAMPLE = 5_000
MOST_OUTLIERS = 60_000
FEW_HELD_BACK = 200  # images for validation, where there are fewer than ten times as many

# --- 1. Opening: where images and labels are, and what the classes are called ---------------------


def open_dataset(
    name: str,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    image_size: int = 32,
    test_fraction: float = 1 / 6,
) -> ImageDataset:
    """Opens a dataset; nothing is decoded yet.

    Args:
        name: Hub id such as "uoft-cs/cifar10", which is downloaded once; a local folder in the
            hub's layout; a folder of class folders (with or without train/, val/ and test/ above
            them); a folder with a table of pictures and labels; or "synthetic".
        image_column: Of images; None finds it by type.
        label_column: Of labels; None finds it by type and name.
        image_size: Side of the squares that images are scaled to, in pixels.
        test_fraction: Share of the training images that becomes the test split where the dataset
            has neither a test nor a validation split; 0 leaves it without one.

    Raises:
        DataError: If the dataset cannot be found, reached or understood.
    """
    found = Found(synthetic()) if name == SYNTHETIC else find_streams(name)
    streams = dict(found.splits)
    if len(streams) == 1:  # under any name, it is what there is to train on
        streams = {"train": next(iter(streams.values()))}
    if "train" not in streams:
        raise DataError(f"{name} has no train split, only {', '.join(streams)}; name another one.")
    train = streams["train"]
    columns = find_columns(name, train.features or {}, image_column, label_column)
    label_names, to_label = find_classes(name, train, columns[1])
    dataset = ImageDataset(public_name(name), *columns, label_names, to_label, image_size)
    if "test" not in streams and "validation" in streams:
        streams["test"] = streams.pop("validation")
        dataset.notes.append("There is no test split: the validation split is tested on.")
    dataset.splits = {kind: ShardedSplit(dataset, kind, one) for kind, one in streams.items()}
    if "test" not in streams and test_fraction:
        whole = dataset.splits["train"]
        count = max(1, round(test_fraction * len(whole.labels)))
        # Always the same seed: which images are tested on must not depend on that of a run.
        rows = train_validation_split(whole.labels, count, seed=0)
        if not len(rows[1]):
            raise DataError(f"{name} has one image of each class: add some, to test on others.")
        dataset.splits = {k: whole.part(k, r) for k, r in zip(("train", "test"), rows, strict=True)}
        dataset.notes.append(
            f"There is no test split: {len(rows[1]):,} images, the same in every run, are kept to "
            "test on."
        )
    for reason, names in found.unused.items():
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        dataset.notes.append(f"Not used, {reason}: {some} ({len(names):,} in all)")
    return dataset


def open_for_training(options: DataOptions) -> ImageDataset:
    """Opens the dataset of a run; see `open_dataset`."""
    dataset = open_dataset(
        options.name,
        image_column=options.image_column,
        label_column=options.label_column,
        image_size=options.image_size,
    )
    for split in dataset.splits.values():
        split.max_bad_images = options.max_bad_images
    return dataset


def describe(dataset: ImageDataset) -> list[str]:
    """What was understood of a dataset, in sentences: its classes, and what is not used."""
    names = dataset.label_names
    counts = dataset.labels("train").bincount(minlength=len(names))  # (C,)
    fewest, most = int(counts.argmin()), int(counts.argmax())
    some = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    sizes = f"{counts[fewest]:,} images of {names[fewest]} to {counts[most]:,} of {names[most]}"
    if counts[fewest] == counts[most]:
        sizes = f"{counts[most]:,} of each"
    return [f"{len(names):,} classes: {some} ({sizes})", *dataset.notes]


# --- 2. Splitting: images to train on, images for validation, and their statistics ----------------


def train_validation_split(labels: Tensor, val_size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Holds back images at random, the same share of every class.

    Args:
        labels: int64 (N,).
        val_size: Images to hold back; fewer if every class is down to one image.
        seed: Decides which.

    Returns:
        Places to train on and places held back, both rising.
    """
    classes, counts = labels.unique(return_counts=True)  # (C,), (C,)
    exact = counts.double() * val_size / len(labels)  # (C,)
    most = counts - 1  # one at least is there to learn from
    share = exact.floor().long().minimum(most)
    # Largest remainder: what rounding down left over goes to the classes that lost most.
    while (left := val_size - int(share.sum())) and (share < most).any():
        lost = (exact - share).where(share < most, -torch.inf).sort(descending=True, stable=True)
        share[lost.indices[: min(left, int((share < most).sum()))]] += 1
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label, count in zip(classes, share, strict=True):
        rows = (labels == label).nonzero().flatten()  # (n,)
        held[rows[torch.randperm(len(rows), generator=generator)[:count]]] = True
    return (~held).nonzero().flatten(), held.nonzero().flatten()  # (N - val_size,), (val_size,)


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, exact, in bounded memory.

    Args:
        images: uint8 (N, C, H, W).

    Returns:
        Two tuples of C numbers in [0, 1]; deviations are at least 1/255, so that nothing is
        divided by zero.
    """
    total = torch.zeros(images.shape[1], dtype=torch.int64)  # (C,): sums of integers are exact
    squares = torch.zeros_like(total)  # (C,)
    for part in images.split(4096):  # int32 takes four times the memory of uint8
        values = part.to(torch.int32)  # (n, C, H, W)
        total += values.sum((0, 2, 3)).cpu()
        squares += values.square().sum((0, 2, 3)).cpu()
    count = images.numel() // images.shape[1]
    mean = total.double() / count
    std = (squares.double() / count - mean.square()).clamp(min=1).sqrt()
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


# --- 3. Batches on the device ---------------------------------------------------------------------


class Loader:
    """Batches of the training images, shared by processes.

    The order of an epoch follows from seed and epoch alone, and each global batch is cut into one
    part for each process. So any number of processes sees the same batches, no image comes twice in
    an epoch, and a run is resumed at an epoch without any state of its loader.

    Args:
        count: Images that are trained on.
        batch_size: Of a global batch; a last batch that is not full is left out.
        seed: Decides the orders.
        rank: This process.
        world_size: Processes.
    """

    def __init__(
        self, count: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if not count:
            raise DataError("No training image can be decoded; repair them, or name others.")
        self.batch_size = min(batch_size, count)
        self.steps = count // self.batch_size
        self.seed, self.rank, self.world_size = seed, rank, world_size

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """This process's part of each batch: images uint8 (b, 3, S, S), labels, indices (b,)."""
        raise NotImplementedError

    def _generator(self, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed * 100_003 + epoch)


class InMemoryLoader(Loader):
    """Batches of images in memory, on their device; for the other arguments see `Loader`."""

    def __init__(self, images: LabelledImages, batch_size: int, **order: int) -> None:
        super().__init__(len(images), batch_size, **order)
        self.images = images

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """See `Loader`."""
        # Drawn on the CPU, whatever the device: the same order on every machine.
        order = torch.randperm(len(self.images), generator=self._generator(epoch))  # (N,)
        order = order.to(self.images.labels.device)
        for batch in order[: self.steps * self.batch_size].split(self.batch_size):
            part = self.images.take(batch.tensor_split(self.world_size)[self.rank])
            yield part.images, part.labels, part.indices  # (b, 3, S, S), (b,), (b,)


class StreamingLoader(Loader):
    """Batches that are read from the files and decoded anew in every epoch.

    Shards come in a new order, and a buffer of images that are still encoded mixes their rows; rows
    sorted by class in longer runs than that stay badly mixed: shuffle such files once.

    Args:
        split: Of the dataset.
        indices: Places in the split of the images to train on, int64 (N,).
        batch_size: Of a global batch.
        device: Where batches go.
        buffer_size: Images in the buffer; 100 times as many where rows are only paths of files.
        order: See `Loader`.
    """

    def __init__(
        self,
        split: ShardedSplit,
        indices: Tensor,
        batch_size: int,
        *,
        device: str | torch.device = "cpu",
        buffer_size: int = 10_000,
        **order: int,
    ) -> None:
        super().__init__(len(indices), batch_size, **order)
        self.split, self.indices = split, indices
        self.device, self.buffer_size = device, buffer_size

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """See `Loader`."""
        rows = self._shuffled(epoch)
        batches = (list(islice(rows, self.batch_size)) for _ in range(self.steps))
        mine = torch.arange(self.batch_size).tensor_split(self.world_size)[self.rank].tolist()
        # Every process reads all rows, so that all agree on the order, but decodes only its own.
        for part in self.split.decode([batch[i] for i in mine] for batch in batches):
            if not len(part):
                raise DataError(
                    f"None of the {len(mine)} images of a batch of {self.split.where} can be "
                    "decoded. Repair the dataset, or choose a larger --batch-size."
                )
            if len(part) < len(mine):
                # Others stand in for bad images that were left out: all batches have one size.
                part = part.take(torch.arange(len(mine)) % len(part))
            part = part.to(self.device)
            yield part.images, part.labels, part.indices  # (b, 3, S, S), (b,), (b,)

    def _shuffled(self, epoch: int) -> Iterator[Row]:
        """All rows to train on, in the order of one epoch."""
        # `IterableDataset.shuffle` would do this, but it forgets which row an image is: that tells
        # images held back from others, bad ones from good, and one epoch's mirroring from the next.
        generator = self._generator(epoch)
        order = torch.randperm(len(self.split.shards), generator=generator).tolist()
        draw = random.Random(int(torch.randint(2**62, (), generator=generator)))
        buffer: list[Row] = []
        for row in self.split.read(self.indices, [self.split.shards[i] for i in order]):
            # A path takes little memory; and files sorted into class folders need a large buffer.
            only_path = row[1] is not None and row[1]["bytes"] is None
            if len(buffer) < self.buffer_size * (100 if only_path else 1):
                buffer.append(row)
                continue
            at = draw.randrange(len(buffer))  # one leaves at random, the new one takes its place
            yield buffer[at]
            buffer[at] = row
        draw.shuffle(buffer)
        yield from buffer


# --- 4. All of it for one training run ------------------------------------------------------------


@dataclass(frozen=True)
class TrainingData:
    """Everything that a run trains on and looks at on the way."""

    dataset: ImageDataset
    loader: Loader
    validation: LabelledImages | None
    """Training images that were held back, or the dataset's own, on the device."""
    sample: Tensor
    """Random training images for the whitening layer, uint8 (n, 3, S, S)."""
    mean: tuple[float, ...]
    """Of each channel of the training images, in [0, 1]."""
    std: tuple[float, ...]
    """Of each channel of the training images, in [0, 1]."""
    counts: Tensor
    """Images of each class to train on, int64 (C,); of those kept in memory, also such as cannot be
    decoded."""
    outliers: Tensor | None
    """Pictures of none of the classes, uint8 (M, 3, S, S) on the device."""
    sizes: dict[str, int]
    """Images for "train" and "validation"."""
    val_size: int
    """Training images that were held back, those that cannot be decoded among them."""
    cached: bool
    """Whether the training images are in memory."""


def load_training_data(
    dataset: ImageDataset,
    options: DataOptions,
    recipe: Recipe,
    *,
    cache_limit: float,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
    progress: Progress | None = None,
) -> TrainingData:
    """Splits a dataset, and reads what fits in memory.

    Args:
        dataset: As `open_for_training` gave it.
        options: How to read it, and which outliers.
        recipe: Batch size, validation size and seed.
        cache_limit: GiB of pixels up to which the training images are decoded once and kept,
            where `options` do not say.
        device: Where images go.
        rank: This process.
        world_size: Processes that share each batch.
        progress: Called after every few images.

    Raises:
        DataError: If the dataset cannot be used, or has no training image of a class.
        ConfigError: If the validation size leaves nothing to train on, or a batch cannot be shared
            evenly.
    """
    if recipe.batch_size % world_size:
        raise ConfigError(
            f"--batch-size {recipe.batch_size} cannot be shared evenly by {world_size} processes; "
            f"choose a multiple of {world_size}."
        )
    split = dataset.splits["train"]
    train, held_back = hold_back(dataset, recipe)  # (N,), (V,)
    # Random images, since files may be sorted; read in the order in which they are stored.
    generator = torch.Generator().manual_seed(recipe.seed)
    some = train[torch.randperm(len(train), generator=generator)[:SAMPLE]].sort().values  # (n,)
    shared: Any = dict(seed=recipe.seed, rank=rank, world_size=world_size)
    cached = options.cached
    if cached is None:
        cached = len(split.labels) * 3 * options.image_size**2 <= cache_limit * 2**30
    loader: Loader
    if cached:
        # Read as one, so that every file is opened once, then told apart on the device.
        every = split.load(device=device, progress=progress)
        images, validation, sample = (every.select(x) for x in (train, held_back, some))
        statistics = channel_statistics(images.images)
        loader = InMemoryLoader(images, recipe.batch_size, **shared)
    else:
        sample = split.load(some, device=device, progress=progress)
        validation = split.load(held_back, device=device)
        statistics = channel_statistics(sample.images)
        # Images that are found to be bad later keep their rows: others stand in for them.
        train = train[~torch.isin(train, torch.tensor(sorted(split.bad), dtype=torch.int64))]
        loader = StreamingLoader(split, train, recipe.batch_size, **shared, device=device)
    if "validation" in dataset.splits:
        validation = dataset.splits["validation"].load(device=device)
    drawn = torch.randperm(len(sample), generator=generator)[:WHITENING_SAMPLE]
    outliers = None
    if options.outliers:
        outliers = load_outliers(options.outliers, dataset.label_names, options.image_size, device)
    return TrainingData(
        dataset=dataset,
        loader=loader,
        validation=validation if len(validation) else None,
        sample=sample.images[drawn],  # (n, 3, S, S)
        mean=statistics[0],
        std=statistics[1],
        counts=split.labels[train].bincount(minlength=len(dataset.label_names)),
        outliers=outliers,
        val_size=len(held_back),
        sizes={"train": len(images) if cached else len(train), "validation": len(validation)},
        cached=cached,
    )


def hold_back(dataset: ImageDataset, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Places to train on and places for validation, both rising.

    Raises:
        DataError: If there is no image of a class to train on.
        ConfigError: If there is none at all.
    """
    labels = dataset.splits["train"].labels
    val_size = recipe.val_size
    if val_size < 0:
        val_size = max(len(labels) // 10, min(len(labels) // 5, FEW_HELD_BACK))
    if "validation" in dataset.splits:
        val_size = 0
    if val_size >= len(labels):
        raise ConfigError(
            f"--val-size {val_size} leaves none of the {len(labels)} training images to "
            "train on; choose a smaller one."
        )
    train, held_back = train_validation_split(labels, val_size, recipe.seed)
    counts = labels[train].bincount(minlength=len(dataset.label_names)).tolist()
    missing = [name for name, n in zip(dataset.label_names, counts, strict=True) if n == 0]
    if missing:  # such a class would never be predicted, and nobody would know why
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise DataError(
            f"{dataset.name} has no image to train on of {len(missing)} of its "
            f"{len(dataset.label_names)} classes ({shown}). Add some, or take the class out of the "
            "dataset's label names."
        )
    return train, held_back


# One class of each of CIFAR-100's twenty groups is left out of every set of outliers: on the test
# images of these, it is measured how well kinds that were never seen are told apart.
HELD_OUT = frozenset(
    """
    apple aquarium_fish baby bear beaver bed bee bicycle bottle camel castle clock cloud crab
    crocodile fox hamster lawn_mower maple_tree orchid
    """.split()  # noqa: SIM905
)


def load_outliers(name: str, known: Sequence[str], image_size: int, device: torch.device) -> Tensor:
    """Reads pictures of none of the classes into memory.

    Beside those of a dataset stand generated shapes, at most a fifth as many: a network that
    learned from photographs alone takes more drawings for its classes (benchmarks/NOTES.md). Where
    generated shapes were named themselves, noise stands beside them.

    Args:
        name: Of a dataset, see `open_dataset`.
        known: Classes of the pictures that are classified: outliers of the same names, and of
            those in `HELD_OUT`, are left out.
        image_size: Side in pixels.
        device: Where they go.

    Returns:
        uint8 (M, 3, S, S); of more than `MOST_OUTLIERS` of the dataset, as many that are evenly
        spread.

    Raises:
        DataError: If no picture of another class is there.
    """

    def some(name: str, most: int) -> Tensor:
        # Nothing is tested on outliers: of a dataset without a test split, all are there to learn
        # from.
        dataset = open_dataset(name, image_size=image_size, test_fraction=0)
        split = dataset.splits["train"]
        mine = HELD_OUT | {one.lower() for one in known}
        usable = torch.tensor([one.lower() not in mine for one in dataset.label_names])  # (C,)
        rows = usable[split.labels].nonzero().flatten()  # (M,)
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), most)).long()]
        return split.load(rows, device=device).images  # (M, 3, S, S)

    found = some(name, MOST_OUTLIERS)
    if name == SYNTHETIC:
        drawn = torch.from_numpy(noise(SIZES["train"], image_size)).to(device)  # (4000, 3, S, S)
        return torch.cat((found, drawn))
    if not len(found):
        raise DataError(f"{name} (--outliers) has no picture of another class; name another one.")
    return torch.cat((found, some(SYNTHETIC, len(found) // 5)))  # (M, 3, S, S)
