"""cifarnet: small, fast, honest image classifiers; importing it makes them known to timm.

Importing this package costs nothing: its public names, and torch and timm with them, are loaded
when they are first used. So `--help` answers at once.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hub import from_pretrained, save_pretrained
    from .hub.push import push_to_hub
    from .inference.classifier import Classifier, Prediction

__version__ = "0.2.0.dev0"
__all__ = ["Classifier", "Prediction", "from_pretrained", "push_to_hub", "save_pretrained"]

_MODULE_OF = {
    "Classifier": ".inference.classifier",
    "Prediction": ".inference.classifier",
    "from_pretrained": ".hub",
    "push_to_hub": ".hub.push",
    "save_pretrained": ".hub",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name], __name__), name)
    globals()[name] = value
    return value


def _register() -> None:
    """Makes the networks known to timm, once.

    A process may import this code twice: as `model` in a checkout and as `cifarnet` where it is
    installed. The second one then shares the first one's networks.
    """
    timm: Any = importlib.import_module("timm")
    name = f"{__name__}.network"
    if timm.is_model("cifarnet_small") and name not in sys.modules:
        shared = sys.modules[timm.model_entrypoint("cifarnet_small").__module__]
        sys.modules[name] = globals()["network"] = shared
    else:
        importlib.import_module(name)


class _RegisterAfterTimm:
    """Calls `_register` as soon as something imports timm: importing it here would take seconds."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds timm as Python would, with our networks to follow it; None for all else."""
        if name != "timm":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            _register()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


if sys.modules.keys() & ({"timm", "model", "cifarnet"} - {__name__}):
    _register()
else:
    sys.meta_path.insert(0, _RegisterAfterTimm())
