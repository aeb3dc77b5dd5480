"""The folder of a run."""

import itertools
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from . import files
from .errors import ConfigError


def new_name(network: str) -> Path:
    """A folder for a run that was not given one; two runs never share one."""
    first = path = Path("runs") / f"{network}-{datetime.now():%Y%m%d-%H%M%S}"
    for number in itertools.count(2):
        if not path.exists():
            break
        path = first.with_name(f"{first.name}-{number}")
    return path


def check_output(output: Path | None, resume: bool) -> None:
    """Finds out early whether the run's folder can be made, before an hour's work.

    Args:
        output: As asked for; None is a new folder in runs/.
        resume: Whether the folder holds a run to go on with.

    Raises:
        ConfigError: If the folder is a file, or would mix two runs.
        OSError: If it cannot be made or written.
    """
    if output and not resume and output.exists():
        if not output.is_dir():
            raise ConfigError(f"--output {output} is a file; name a folder.")
        if set(output.iterdir()) - files.unfinished(output):
            raise ConfigError(
                f"--output {output} is not empty; name a new folder, or go on with the run "
                f"in it by --resume {output}."
            )
        files.remove_unfinished(output)  # of a run that was killed before it could be resumed
    target = output or Path("runs")
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    target.mkdir(parents=True, exist_ok=True)
    try:
        probe = target / f".writable{files.UNFINISHED}"
        files.write_bytes(probe, b"")
        probe.unlink()
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
