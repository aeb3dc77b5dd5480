"""The folder of a run."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import files
from .errors import ConfigError, TrainingError

LOCK = ".lock"


@contextmanager
def claim(directory: Path, resume: bool) -> Iterator[None]:
    """Holds a run's folder for this process, and makes it if need be; an empty one does not stay.

    Args:
        directory: Of the run.
        resume: Whether it holds a run to go on with.

    Raises:
        ConfigError: If it is a file, has a name that is not UTF-8, or would mix two runs.
        TrainingError: If another process holds it.
        OSError: If it cannot be made or written.
    """
    from filelock import FileLock, Timeout  # --help need not wait for it

    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"--output {directory} is a file; name a folder.")
    if str(directory) != str(directory).encode(errors="replace").decode():
        # safetensors could not open it again
        raise ConfigError(f"--output {directory} is not in UTF-8; choose another name.")
    made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / LOCK)  # which the system takes back, however the process ends
    try:
        with suppress(Timeout):
            lock.acquire(blocking=False)
        if not lock.is_locked:
            raise TrainingError(
                f"Another process is training in {directory}: wait for its end, or name another "
                "folder by --output."
            )
        left = files.unfinished(directory)  # by a run that was killed
        others = set(directory.iterdir()) - left - {directory / LOCK}
        if others and not resume:
            raise ConfigError(
                f"--output {directory} is not empty; name a new folder, or go on with the run "
                f"in it by --resume {directory}."
            )
        for path in left:
            path.unlink(missing_ok=True)
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # while it is held, or it could be another's; not on Windows
                (directory / LOCK).unlink()
            lock.release()
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def check_space(directory: Path, size: int) -> None:
    """Finds out whether a run's files fit on the disk.

    Args:
        directory: Of the run.
        size: Bytes that will be written there.

    Raises:
        TrainingError: If they do not.
    """
    free = shutil.disk_usage(directory).free
    if free < size:
        raise TrainingError(
            f"{directory} has room for {free / 2**20:,.0f} MiB, and this run writes up to "
            f"{size / 2**20:,.0f} MiB: free some, or name a folder on another disk by --output."
        )
