"""Small datasets in the hub's layout, written by the tests."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Features, disable_progress_bars
from datasets import Image as ImageType
from PIL import Image

from model.data import TrainingData, load_training_data, open_for_training
from model.recipe import DataOptions, Recipe

disable_progress_bars()  # of datasets, which tests of messages would see


def pixels(count: int, size: int = 32, grey: bool = False, seed: int = 0) -> np.ndarray:
    shape = (count, size, size) if grey else (count, size, size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: np.ndarray) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def save(
    folder: Path, split: str, columns: dict[str, Any], types: dict[str, Any], group: int = 1000
) -> None:
    """Writes one split in the hub's layout, in two shards with row groups of `group` rows."""
    folder.mkdir(exist_ok=True)
    rows = Dataset.from_dict(columns, features=Features(types))
    for shard in range(2):
        part = rows.shard(2, shard, contiguous=True)
        part.to_parquet(str(folder / f"{split}-{shard:05}-of-00002.parquet"), batch_size=group)


def loaded(name: str, recipe: Recipe | None = None, **options: Any) -> TrainingData:
    """A dataset, read for a training."""
    data = DataOptions(name, **options)
    dataset, device = open_for_training(data), torch.device("cpu")
    return load_training_data(dataset, data, recipe or Recipe(), cache_limit=1, device=device)


def layout(
    folder: Path,
    images: str = "img",
    labels: dict[str, Any] | None = None,
    grey: bool = False,
    size: int = 32,
    splits: tuple[str, ...] = ("train", "test"),
) -> Path:
    """A dataset of 30 images a split with the columns asked for."""
    types = {"label": ClassLabel(names=["a", "b", "c"])} if labels is None else labels
    for seed, split in enumerate(splits):
        columns: dict[str, Any] = {images: [encoded(x) for x in pixels(30, size, grey, seed)]}
        for column, kind in types.items():
            if isinstance(kind, ClassLabel):
                columns[column] = [i % len(kind.names) for i in range(30)]
            else:
                columns[column] = [f"kind {i % 3}" for i in range(30)]
        save(folder, split, columns, {images: ImageType(), **types})
    return folder
