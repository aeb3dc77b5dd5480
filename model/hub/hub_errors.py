"""What the hub, and the way to it, can refuse: tried again where that helps, then one sentence.

Messages name the remedy, and never a token.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

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

ATTEMPTS = 4
FIRST_WAIT = 1.0  # seconds before the second attempt; doubles each time
BAD, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 400, 401, 403, 404
MOVED = (409, 412)  # somebody else sent something meanwhile
LATER = (408, 429, 500, 502, 503, 504, *MOVED)  # may go well when tried again
LOG_IN = "log in by `hf auth login` or set HF_TOKEN"
OFFLINE = "HF_HUB_OFFLINE forbids to ask the hub; unset it to send or fetch a model."
Result = TypeVar("Result")


def patiently(ask: Callable[[], Result], attempts: int = ATTEMPTS) -> Result:
    """Asks again, a little later each time, where the hub or the line is only overloaded.

    Args:
        ask: Must do no harm when it is repeated.
        attempts: At most.
    """
    for attempt in range(attempts):
        try:
            return ask()
        except (HTTPError, LocalEntryNotFoundError, RuntimeError) as error:
            if attempt == attempts - 1 or not _passes(_cause(error)):
                raise
        time.sleep(FIRST_WAIT * 2**attempt)
    raise AssertionError("unreachable")


def _cause(error: BaseException) -> BaseException:
    """What the hub or the line said; the library wraps it, of large files and of metadata."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, HTTPError | OfflineModeIsEnabled):
            return found
        found = found.__cause__
    return error


def _passes(cause: BaseException) -> bool:
    if isinstance(cause, HfHubHTTPError):
        return cause.response.status_code in LATER
    return isinstance(cause, HTTPError) and not _unreached(cause)


@contextmanager
def downloading(model: str, name: str, revision: str | None) -> Iterator[None]:
    """Turns what the hub's library raises during a download into our error.

    Args:
        model: Hub id.
        name: Of the file.
        revision: As asked for.

    Raises:
        HubError: naming the model or file and the remedy.
    """
    try:
        with _asking():
            yield
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise HubError(_download_failed(error, model, name, revision)) from None


@contextmanager
def sending(repo_id: str) -> Iterator[None]:
    """Turns what the hub's library raises during a push into our error.

    Raises:
        HubError: naming what went wrong and what to do.
    """
    try:
        with _asking():
            yield
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise HubError(_push_failed(_cause(error), repo_id)) from None


@contextmanager
def _asking() -> Iterator[None]:
    """Checks address and token, and keeps the library from telling of every single attempt."""
    try:
        address = urlsplit(constants.ENDPOINT)
        known = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:
        known = False
    if not known:
        raise HubError(
            f"HF_ENDPOINT={constants.ENDPOINT!r} is no address of a hub; it reads https://NAME, or "
            "http://NAME:PORT."
        )
    token = get_token() or ""
    if not token.isascii() or not token.isprintable():
        raise HubError(f"The token holds characters that no token has; {LOG_IN} anew.")
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def need_token() -> None:
    """Checks that there is a token, of whatever kind.

    Raises:
        HubError: If there is none.
    """
    if get_token() is None:
        raise HubError(
            "Sending needs a token that may write: run `hf auth login`, or set HF_TOKEN."
        )


def _download_failed(error: Exception, model: str, name: str, revision: str | None) -> str:
    at = f"{model} at revision {revision}" if revision else model
    both = f"There is no folder {model!r} here, and"
    if isinstance(error, GatedRepoError):
        return (
            f"{model} is only open to those who accept its terms: do so on its page, then log in "
            "by `hf auth login`."
        )
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{both} the hub has no model of that name, or it is private. Check the spelling; for "
            "a private model log in by `hf auth login`."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{model} has no revision {revision!r}; name a branch, tag or commit that exists."
    cause = _cause(error)
    if isinstance(cause, HfHubHTTPError) and not isinstance(cause, EntryNotFoundError):
        return _answered(cause.response.status_code, f"for {name} of {at}")
    if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled) or _unreached(error):
        offline = isinstance(cause, OfflineModeIsEnabled)
        why = "HF_HUB_OFFLINE forbids to ask the hub" if offline else "the hub cannot be reached"
        return (
            f"{both} {why}; {name} of {at} is not in the download cache. Check the connection and "
            "HF_ENDPOINT, or name a local folder."
        )
    if isinstance(error, EntryNotFoundError):
        return f"{at} holds no {name} on the hub; it is not a model that train.py wrote."
    if isinstance(error, HTTPError):
        return f"The connection broke while {name} of {at} was fetched; try again."
    if isinstance(error, HFValidationError):
        return f"{both} it is no valid hub id (owner/name)."
    if isinstance(error, OSError) and error.errno is not None:
        return (
            f"{name} of {at} cannot be kept in the download cache {constants.HF_HUB_CACHE} "
            f"({error.strerror}); free some space there, or set HF_HOME to a folder on another "
            "disk."
        )
    return f"{name} of {at} did not arrive whole, and was not kept; try again."


def _unreached(error: BaseException) -> bool:
    return type(error).__name__ in ("ConnectError", "ConnectTimeout")


def _push_failed(cause: BaseException, repo_id: str) -> str:
    if isinstance(cause, HFValidationError):
        return f"{repo_id!r} is no valid hub id; it reads owner/name, of letters, digits, - _ and ."
    if isinstance(cause, OfflineModeIsEnabled):
        return OFFLINE
    if isinstance(cause, HfHubHTTPError):
        return refusal(repo_id, cause.response.status_code)
    if _unreached(cause):
        return "The hub cannot be reached. Check the connection and HF_ENDPOINT, then try again."
    if isinstance(cause, HTTPError | OSError):
        return (
            f"The connection to the hub broke ({type(cause).__name__}). Check HF_ENDPOINT and the "
            "line, and try again: what has arrived is not sent twice."
        )
    return f"{_not_accepted(repo_id)} ({type(cause).__name__})."


def _not_accepted(repo_id: str) -> str:
    return (
        f"The hub did not accept what was sent to {repo_id}, and nothing was changed there; check "
        "HF_ENDPOINT, and whether a newer huggingface_hub exists"
    )


def refusal(repo_id: str, status: int) -> str:
    """What to say where the hub refuses a push, by the status of its answer."""
    known = {
        UNAUTHORIZED: "The hub does not accept the token: it is wrong or has expired. Make a new "
        "one that may write, then run `hf auth login` or set HF_TOKEN.",
        FORBIDDEN: f"The token may not write to {repo_id}: use one with write access, or an owner "
        "that is yours.",
        NOT_FOUND: f"The hub knows no {repo_id}, or hides it from this token: check the name.",
        BAD: f"{_not_accepted(repo_id)}.",
    }
    if status in MOVED:
        return f"{repo_id} was changed by someone else meanwhile, and not by this; push again."
    return known.get(status, f"The hub answered {status} for {repo_id}. Try again later.")


def _answered(status: int, what: str) -> str:
    if status == UNAUTHORIZED and get_token():
        return (
            f"The hub does not accept the token ({status} {what}): it is wrong or has expired. "
            + (f"Make a new one, then {LOG_IN}.")
        )
    hint = LOG_IN if status in (UNAUTHORIZED, FORBIDDEN) else "try again later"
    return f"The hub answered {status} {what}; {hint}."
