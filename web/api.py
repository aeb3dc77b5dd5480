"""The page's API: /classify and /classify_batch."""

from web.models import Models


def add(models: Models) -> None:
    """Adds the endpoints to the page that is being built."""
