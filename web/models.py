"""The models that the page offers, by name. Only the command line decides which those are."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.hub import CARD_NAME, RESULTS_NAME, snapshot
from model.inference.classifier import Classifier
from model.utils import files
from model.utils.errors import ConfigError
from model.utils.root import ROOT

MAX_PIXELS = 20_000_000  # of a picture, once it is in memory: 80 MB


class Models:
    """Loaded models, the first of them the default.

    Args:
        sources: Folders or hub ids; none at all means the weights that come with this code.

    Raises:
        CifarnetError: If one of them cannot be loaded; the message says which, and what to do.
    """

    def __init__(self, sources: Sequence[str | Path] = ()) -> None:
        self._loaded: dict[str, Classifier] = {}
        sources = sources or [snapshot.default_model()]
        for source in sources:
            classifier = loaded(source)
            name = _name(source, classifier)
            numbered = (f"{name} ({i})" if i > 1 else name for i in itertools.count(1))
            self._loaded[next(one for one in numbered if one not in self._loaded)] = classifier
        self.folder = snapshot.resolve(sources[0], names=(CARD_NAME, RESULTS_NAME))
        """Of the first model: where its card and results.json lie, if it has them."""

    @property
    def names(self) -> list[str]:
        """Names of all models, in the order of the command line."""
        return list(self._loaded)

    def chosen(self, names: Sequence[str] | str | None) -> dict[str, Classifier]:
        """Those of some names, or of one, that are offered, otherwise the first one."""
        chosen = [names] if isinstance(names, str) else names or []
        found = {name: one for name, one in self._loaded.items() if name in chosen}
        return found or dict(itertools.islice(self._loaded.items(), 1))

    def classifier(self, name: str | None = None) -> Classifier:
        """A model by name; None, or one that is not offered, is the first."""
        return self._loaded.get(name or "") or next(iter(self._loaded.values()))

    def results(self) -> dict[str, Any] | None:
        """Content of the first model's results.json; None if it has none that can be read."""
        try:
            return files.read_json(self.folder / RESULTS_NAME)
        except (ConfigError, OSError):
            return None


def loaded(source: str | Path) -> Classifier:
    """A model that visitors may ask: no picture of theirs takes much memory."""
    classifier = Classifier.from_pretrained(source)
    classifier.max_pixels = MAX_PIXELS
    return classifier


def _name(source: str | Path, classifier: Classifier) -> str:
    """A folder's own name, an id as it is; the project's folder may be called anything."""
    path = Path(source).resolve()
    if not path.is_dir():
        return str(source)
    card: Any = classifier.network.pretrained_cfg
    return str(card["architecture"]) if path == ROOT else path.name
