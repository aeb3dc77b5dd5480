"""cifarnet: small, fast, honest image classifiers; importing it makes them known to timm."""

from model import network as network
from model.classifier import Classifier, Prediction
from model.hub import from_pretrained, save_pretrained
from model.hub.push import push_to_hub

__all__ = ["Classifier", "Prediction", "from_pretrained", "push_to_hub", "save_pretrained"]
