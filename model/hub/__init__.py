"""Models in the hub's layout: saved, loaded, sent and fetched.

A run's folder, a downloaded snapshot and a hub id are the same kind of thing here, and timm loads
the same files: `timm.create_model("local-dir:DIR", pretrained=True)` after `import model`.
"""

from .pretrained import (
    CARD_NAME,
    RESULTS_NAME,
    from_pretrained,
    load,
    read_config,
    save_pretrained,
)

__all__ = [
    "CARD_NAME",
    "RESULTS_NAME",
    "from_pretrained",
    "load",
    "read_config",
    "save_pretrained",
]
