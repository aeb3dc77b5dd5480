"""What a user can cause: errors whose message names the bad value and the remedy."""

import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .root import INSTALLED


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

    What the terminal cannot show, such as a file name in another alphabet, is printed as escapes.

    Raises:
        SystemExit: with code 2 after a `CifarnetError` or an `OSError` (full disk, no permission);
            with code 130 after Ctrl-C;
            with code 1 and no message if nobody reads our output any more; with code 1, a traceback
            and a request to report it after anything else.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # as a notebook's is not
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
        return
    except CifarnetError as error:
        message = str(error)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        raise SystemExit(130) from None  # what shells know as ended by Ctrl-C
    except BrokenPipeError:  # whoever read what we print has gone, as `head` does
        # Python writes what is left once more when it ends: nowhere.
        with suppress(OSError, ValueError):  # replaced by something that is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        reason = error.strerror or str(error)
        where = f" ({error.filename})" if error.filename else ""
        message = f"{reason}{where}. Check free disk space and permissions, then try again."
    except ModuleNotFoundError as error:
        what = "'cifarnet[app,onnx,train]'" if INSTALLED else "-r requirements.txt"
        message = f"The package {error.name} is missing: pip install {what}"
    except Exception:
        traceback.print_exc()
        print(f"\n{report()}", file=sys.stderr)
        raise SystemExit(1) from None
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def report() -> str:
    """What somebody who met a defect of ours should send."""
    from .machine import machine, versions  # torch takes its time, and only this needs it

    about = machine() | versions()
    told = ", ".join(f"{name} {value}" for name, value in about.items())
    return (
        "This is a defect of cifarnet, please report it: send the lines above, the command that "
        f"you gave, and this line, but no picture and no token. {told}"
    )
