"""cifarnet: small, fast, honest image classifiers; importing it makes them known to timm."""

from . import network as network
from .hub import from_pretrained, save_pretrained
from .hub.push import push_to_hub
from .inference.classifier import Classifier, Prediction

__all__ = ["Classifier", "Prediction", "from_pretrained", "push_to_hub", "save_pretrained"]
