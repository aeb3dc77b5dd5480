"""What huggingface_hub raises, as our error: its own words and a remedy, but never a token."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..utils.errors import HubError

WAITS = (1.0, 2.0, 4.0)  # seconds before the second attempt and those after it
MOVED = (409, 412)  # somebody else sent something meanwhile
LATER = (408, 429, 500, 502, 503, 504, *MOVED)  # may go well when tried again
LOG_IN = "log in by `hf auth login` or set HF_TOKEN"
REMEDIES: dict[type[BaseException], str] = {  # the first that fits
    GatedRepoError: "Accept the model's terms on its page, then log in by `hf auth login`.",
    RepositoryNotFoundError: "Check the spelling; for a private model log in by `hf auth login`.",
    RevisionNotFoundError: "Name a branch, tag or commit that exists.",
    EntryNotFoundError: "It is not a model that train.py wrote.",
    HFValidationError: "A hub id reads owner/name, of letters, digits, - _ and .",
    OfflineModeIsEnabled: "Unset HF_HUB_OFFLINE, or name a local folder.",
}
STATUS_REMEDIES = {
    400: "Nothing was changed there; check HF_ENDPOINT, and for a newer huggingface_hub.",
    401: f"The token is wrong or has expired: make a new one, then {LOG_IN}.",
    403: "Use a token that may do this, or an owner that is yours.",
    **dict.fromkeys(MOVED, "Somebody else changed it meanwhile, and not this push: push again."),
}
Result = TypeVar("Result")


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Raises a `HubError` in place of whatever huggingface_hub raises inside.

    Also if HF_ENDPOINT is no address, or the token cannot be one.

    Args:
        what: Begins the message, such as "Sending to you/cifarnet failed".
    """
    if not re.fullmatch(r"https?://[\w.-]+(:[1-9]\d*)?(/.*)?", constants.ENDPOINT):
        raise HubError(
            f"HF_ENDPOINT={constants.ENDPOINT!r} is no address of a hub; it reads https://NAME, or "
            "http://NAME:PORT."
        )
    token = get_token() or ""
    if not token.isascii() or not token.isprintable():  # the library would repeat it
        raise HubError(f"The token holds characters that no token has; {LOG_IN} anew.")
    try:
        yield
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        cause = _cause(error)
        raise HubError(f"{what}: {_words(cause)} {_remedy(cause)}") from None


def need_token() -> None:
    """Refuses to go on without a token, of whatever kind."""
    if get_token() is None:
        raise HubError(f"Sending needs a token that may write: {LOG_IN}.")


def retry(ask: Callable[[], Result]) -> Result:
    """Asks again, a little later each time, where the hub is only overloaded.

    huggingface_hub does so itself for most uploads and downloads, but not where it makes a
    repository, asks for its state, or loses a race for a commit.

    Args:
        ask: Must do no harm when it is repeated.
    """
    for wait in WAITS:
        try:
            return ask()
        except (HTTPError, LocalEntryNotFoundError, RuntimeError) as error:
            cause = _cause(error)
            if isinstance(cause, HfHubHTTPError):
                passes = cause.response.status_code in LATER
            else:
                passes = isinstance(cause, HTTPError) and not _unreached(cause)
            if not passes:
                raise
        time.sleep(wait)
    return ask()


def _unreached(cause: BaseException) -> bool:
    """Whether there is no way to the hub at all, which no patience mends."""
    return type(cause).__name__ in ("ConnectError", "ConnectTimeout", "UnsupportedProtocol")


def _cause(error: BaseException) -> BaseException:
    """What the hub or the connection said; the library wraps it, some of it twice."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, HTTPError | OfflineModeIsEnabled):
            return found
        found = found.__cause__
    return error


def _words(cause: BaseException) -> str:
    """The library's message on one line; a hub may repeat the token in its answer."""
    text = re.sub(
        r"For more (information|details)[^:]*[:,] (see )?\S+|\(Request ID: [^)]*\)", "", str(cause)
    )
    if token := get_token():
        text = text.replace(token, "[token]")
    text = " ".join(text.split())[:400].rstrip(".")
    return f"{text or type(cause).__name__}."


def _remedy(cause: BaseException) -> str:
    for kind, remedy in REMEDIES.items():
        if isinstance(cause, kind):
            return remedy
    if isinstance(cause, HfHubHTTPError):
        return STATUS_REMEDIES.get(cause.response.status_code, "Try again later.")
    if isinstance(cause, OSError) and cause.errno is not None:
        return (
            f"The download cache {constants.HF_HUB_CACHE} must be a folder that can be written and "
            "has room; set HF_HOME to another one."
        )
    return "Check the connection and HF_ENDPOINT, then try again."
