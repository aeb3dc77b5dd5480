"""What all parts of the page share."""

from dataclasses import dataclass, field
from typing import Any

from web.journal import Journal
from web.models import Models


@dataclass(frozen=True)
class Site:
    """What the tabs and the API are about."""

    models: Models
    """Those that can be asked."""
    results: dict[str, Any] | None = None
    """Content of the first model's results.json, if it has one."""
    dataset: str | None = None
    """Given on the command line; its test pictures can be looked at."""
    journal: Journal = field(default_factory=Journal)
    """Where questions are recorded."""
