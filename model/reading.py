"""What can go wrong while a dataset is opened or read, in one sentence with a remedy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
from datasets.exceptions import DatasetNotFoundError, DatasetsError
from datasets.utils.file_utils import xopen
from huggingface_hub.errors import HTTPError, RepositoryNotFoundError
from pyarrow.dataset import ParquetFragmentScanOptions

from .utils.errors import DataError, ImageError

HUB_TIMEOUT = 10.0  # seconds until a hub that does not answer counts as out of reach
LOCAL_COPY = (
    "To use a copy on this machine instead, name its folder: --dataset path/to/folder "
    "(hub layout, or a folder of class folders); --dataset synthetic needs no data at all."
)


@contextmanager
def clear_errors(
    name: str, *, local: bool, problem: str = "holds no dataset that can be read"
) -> Iterator[None]:
    """Turns what `datasets` and the hub's client raise into one sentence and a remedy.

    Args:
        name: Of the dataset.
        local: Whether it lies on this machine.
        problem: What the message says of files that are missing or damaged.

    Raises:
        DataError: In place of theirs.
    """
    try:
        yield
    except (DatasetNotFoundError, RepositoryNotFoundError):
        raise DataError(
            f"There is no dataset {name} on the hub that you can read, and no such folder here. "
            f"Check the spelling; for a private one, log in with `hf auth login`. {LOCAL_COPY}"
        ) from None
    except (FileNotFoundError, DatasetsError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{name} {problem}: {reason}") from None
    except (OSError, HTTPError) as error:
        if local:
            raise DataError(f"{name} cannot be read: {error}") from None
        offline = huggingface_hub.constants.HF_HUB_OFFLINE
        remedy = "Unset HF_HUB_OFFLINE." if offline else "Check the network connection."
        raise DataError(
            f"The hub cannot be reached to read {name} ({type(error).__name__}). {remedy} "
            f"{LOCAL_COPY}"
        ) from None


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars or log lines of other libraries between our own lines."""
    level, hub_level = datasets.logging.get_verbosity(), huggingface_hub.logging.get_verbosity()
    shown = datasets.is_progress_bar_enabled()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    huggingface_hub.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        huggingface_hub.logging.set_verbosity(hub_level)
        if shown:
            datasets.enable_progress_bars()


def ask_hub(name: str) -> None:
    """Asks the hub once whether it has a dataset.

    `datasets` tries six times, with pauses that grow, before it gives up on a hub out of reach.
    """
    huggingface_hub.HfApi().dataset_info(name, timeout=HUB_TIMEOUT)


def find_streams(name: str) -> dict[str, datasets.IterableDataset]:
    """The splits of a dataset in a folder or on the hub, their columns and types known.

    Raises:
        DataError: If there is none, or it cannot be read or reached.
    """
    folder = Path(name)
    if not name.strip():
        raise DataError(f"--dataset names nothing. {LOCAL_COPY}")
    if folder.is_file():
        raise DataError(f"{name} is a file; name the folder that holds the dataset.")
    local = folder.is_dir()
    if not local and (name.startswith((".", "/", "~", os.sep)) or name.count("/") > 1):
        raise DataError(f"The folder {name} does not exist; check the path in --dataset.")
    with quiet(), clear_errors(name, local=local):
        if not local:
            ask_hub(name)
        found = _load(name, local)
        return {str(k): v if v.features else v._resolve_features() for k, v in found.items()}


def _load(name: str, local: bool) -> dict[str, datasets.IterableDataset]:
    try:
        builder: Any = datasets.load_dataset_builder(name)
        if local and hasattr(builder.config, "fragment_scan_options"):
            # Otherwise pyarrow keeps what it has read of a file until its end.
            builder.config.fragment_scan_options = ParquetFragmentScanOptions(pre_buffer=False)
        return builder.as_streaming_dataset()
    except ValueError as error:
        if "Config name is missing" not in str(error):
            raise
    several = ", ".join(datasets.get_dataset_config_names(name))
    raise DataError(
        f"{name} holds several datasets ({several}); copy the files of one into a folder of its "
        "own and name that: --dataset path/to/folder."
    )


def content(encoded: Any) -> bytes:
    """The bytes of an image that a stream gives as bytes or as a path or address.

    Raises:
        ImageError: If the row holds none.
    """
    if encoded is None or (encoded["bytes"] is None and encoded["path"] is None):
        raise ImageError("The row holds no image.")
    if encoded["bytes"] is not None:
        return encoded["bytes"]
    with xopen(encoded["path"], "rb") as file:
        return file.read()
