"""Asking the hub: what goes wrong there is one sentence, without the token."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from huggingface_hub import constants, get_token
from huggingface_hub.errors import HTTPError

from .errors import HubError

LOG_IN = "log in by `hf auth login` or set HF_TOKEN"


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Raises a `HubError` in place of what huggingface_hub raises: its words, but no token.

    Args:
        what: Begins the message, such as "Sending to you/cifarnet failed".
    """
    token = get_token() or ""
    if not token.isascii() or not token.isprintable():  # the library would repeat it
        raise HubError(f"The token holds characters that no token has; {LOG_IN} anew.")
    try:
        _ = urlsplit(constants.ENDPOINT).port  # a wrong one is not an HTTPError
        yield
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if token:  # a hub may repeat it in its answer
            text = text.replace(token, "[token]")
        remedy = (
            f"Check the name, {LOG_IN}, check the connection and HF_ENDPOINT="
            f"{re.sub('//[^/]*@', '//', constants.ENDPOINT)}, then try again."
        )
        if isinstance(error, OSError) and error.errno is not None:
            where = constants.HF_HUB_CACHE
            remedy = f"Free space in {where}, make it writable, or set HF_HOME to another folder."
        raise HubError(f"{what}: {text[:400].rstrip('.')}. {remedy}") from None
