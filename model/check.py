"""`train.py --check-data`: what a training would stumble over, told before it begins."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import torch

from .data import ImageDataset, ShardedSplit, hold_back
from .progress import reading_progress
from .recipe import Recipe
from .utils.errors import DataError, ImageError
from .utils.images import read_image, to_square
from .utils.machine import cores
from .utils.shards import CHUNK, Row
from .utils.streams import read_bytes

SHOWN = 20  # files that are named of a kind of trouble


def check_data(dataset: ImageDataset, recipe: Recipe) -> tuple[str, str]:
    """Reads all images of a dataset once.

    Args:
        dataset: As `open_for_training` gave it.
        recipe: Says how many images are held back for validation.

    Returns:
        What is in the dataset: a table of the images of each class and split, their sizes, those
        that cannot be read, and those that lie in two splits or two classes, by name. Then why a
        training would end at once, or nothing.
    """
    names, kinds = dataset.label_names, list(dataset.splits)
    width = max(map(len, ("class", *names)))
    counts = [dataset.labels(kind).bincount(minlength=len(names)).tolist() for kind in kinds]
    lines = [*dataset.notes, "", f"{'class':<{width}}" + "".join(f"{kind:>12}" for kind in kinds)]
    for name, *row in zip(names, *counts, strict=True):
        lines.append(f"{name:<{width}}" + "".join(f"{count:>12,}" for count in row))
    for kind, row in zip(kinds, counts, strict=True):
        if none := [name for name, count in zip(names, row, strict=True) if not count]:
            lines += ["", f"No {kind} image of {', '.join(none[:SHOWN])}: add some."]
    sizes: list[tuple[int, int]] = []
    seen: dict[bytes, tuple[str, ShardedSplit, int]] = {}  # where each content was first
    unread: list[str] = []
    twice: list[str] = []
    problem = ""
    for split in dataset.splits.values():
        before, labels = len(unread), split.labels.tolist()
        for place, name, size, found in _look(split):
            if size is None:
                unread.append(f"  {name}: {found}")
                continue
            sizes.append(size)
            first, *where = seen.setdefault(found, (name, split, labels[place]))
            if where != [split, labels[place]]:
                twice.append(f"  {name} and {first}")
        if (bad := len(unread) - before) > split.max_bad_images:
            problem = (
                f"{bad:,} images of {split.where} cannot be read: repair or remove them, or leave "
                f"them out with --max-bad-images {bad}."
            )
    if sizes:
        sizes.sort(key=lambda size: size[0] * size[1])
        small, middle, large = (
            f"{w} x {h}" for w, h in (sizes[0], sizes[len(sizes) // 2], sizes[-1])
        )
        lines += ["", f"Sizes: {small} to {large} pixels, half of them up to {middle}"]
    for trouble, some in (("cannot be read", unread), ("lie in two splits or classes", twice)):
        if some:
            lines += ["", f"{len(some):,} images {trouble}:", *some[:SHOWN]]
            lines += [f"  ... and {len(some) - SHOWN:,} more"] * (len(some) > SHOWN)
    if not unread and not twice:
        lines += ["", "All can be read, and none lies in two splits or classes."]
    try:
        train, held = hold_back(dataset, recipe)
        lines += ["", f"{len(train):,} images to train on, {len(held):,} held back for validation"]
    except DataError as error:
        problem = problem or str(error)
    return "\n".join(lines), problem


def _look(split: ShardedSplit) -> Iterator[tuple[int, str, tuple[int, int] | None, Any]]:
    """Reads every image of a split, in threads.

    Yields:
        Its place and name; width and height; and a digest of its pixels. Of one that cannot be
        read: None, and why.
    """
    count, done = len(split.labels), 0
    rows, side = split.read(torch.arange(count)), split.dataset.image_size

    def look(row: Row) -> tuple[int, str, tuple[int, int] | None, Any]:
        place, encoded = row
        path = (encoded or {}).get("path")
        name = path or f"image {place} of {split.kind}"
        try:
            image = read_image(read_bytes(encoded), at_least=4 * side)  # as for training
            digest = hashlib.sha256(to_square(image, side).tobytes()).digest()
            return place, name, image.info["full_size"], digest
        except (ImageError, OSError) as error:
            return place, name, None, error

    with reading_progress(True) as progress, ThreadPoolExecutor(cores()) as pool:
        while batch := list(islice(rows, CHUNK)):  # some at a time, to hold few of them
            yield from pool.map(look, batch)
            done += len(batch)
            progress(done, count)
