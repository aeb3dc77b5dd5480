"""cifarnet: small, fast, honest image classifiers; importing it makes them known to timm."""

from model import network as network
from model.classifier import Classifier, Prediction
from model.hub import from_pretrained, save_pretrained

__all__ = ["Classifier", "Prediction", "from_pretrained", "save_pretrained"]
