"""What a user can cause: errors whose message names the bad value and the remedy."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class CifarnetError(Exception):
    """Something outside the program is wrong; the message says what, and what to do."""


class DataError(CifarnetError):
    """A dataset cannot be found, read or understood."""


class ImageError(CifarnetError):
    """A picture cannot be read."""


class ConfigError(CifarnetError):
    """A config.json or an option is missing, malformed or contradictory."""


class WeightsError(CifarnetError):
    """A weights file is missing, damaged or belongs to another network."""


class HubError(CifarnetError):
    """The model hub refused or could not be reached."""


class TrainingError(CifarnetError):
    """A training run cannot start or go on."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Ends a command line program with one message and code 2, no traceback, on our errors.

    Raises:
        SystemExit: with code 2 after a `CifarnetError` or an `OSError` (full disk, no permission).
    """
    try:
        yield
    except CifarnetError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        reason = error.strerror or str(error)
        print(
            f"error: {reason}{where}. Check free disk space and permissions, then try again.",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
