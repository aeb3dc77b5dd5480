"""What to tell somebody whose training stopped, or ended."""

import re
import shlex
from pathlib import Path

from . import checkpoint
from .utils.errors import TrainingError
from .utils.root import INSTALLED

NO_MEMORY = re.compile("out of memory|not enough memory|allocate memory", re.IGNORECASE)
PEER_LOST = re.compile("closed by peer|connection reset|broken pipe|remote process", re.IGNORECASE)


def understood(error: MemoryError | RuntimeError) -> TrainingError | None:
    """What a library's error means to whoever trains; None if it is nothing known."""
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        return TrainingError(
            "The device has not enough memory for a batch: use a smaller --batch-size or "
            "--cache-limit or, on a CPU, a higher --gradient-accumulation-steps."
        )
    if PEER_LOST.search(str(error)):
        return TrainingError(
            "Another process of this run has ended, so that this one cannot go on; if it left a "
            f"message, that tells why ({str(error).splitlines()[0]})."
        )
    return None


def how_to_go_on(directory: Path | None, done: int | None = None, epochs: int | None = None) -> str:
    """How to take up an interrupted run.

    Args:
        directory: Of the run; None if there is none yet.
        done: Epochs that are saved, where that is known.
        epochs: Of the whole run.
    """
    if directory is None or not (directory / checkpoint.NAME).is_file():
        return "Nothing was saved yet; start again with the same command."
    saved = f"{done} of {epochs} epochs are saved. " if done is not None else ""
    return (
        f"{saved}Go on with:\n  accelerate launch train.py --resume {shlex.quote(str(directory))}"
    )


def what_next(directory: Path) -> str:
    """How to ask a model that was just trained."""
    ask, page = ("cifarnet", "cifarnet app") if INSTALLED else ("python -m model", "python app.py")
    model = f"--model {shlex.quote(str(directory))}"
    return f"Ask it: {ask} PICTURE {model}\nor on a page: {page} {model}"
