"""What a training begins with: a network, new or trained, and the `Trainer` that trains it."""

from typing import Any

import timm
import torch
from accelerate import Accelerator
from torch import nn

from . import augment
from .data import TrainingData
from .network import CifarNet
from .probe import LinearProbe
from .recipe import Recipe
from .training import Trainer
from .utils.errors import ConfigError


def build_trainer(
    recipe: Recipe,
    data: TrainingData,
    accelerator: Accelerator,
    *,
    begin: Any = None,
    compiled: bool = False,
) -> Trainer:
    """Builds a network, whitens its first layer by the images, and wraps it in its trainer.

    Args:
        recipe: What to do.
        data: What to train on.
        accelerator: Decides device, processes and precision.
        begin: A trained network to go on from, with its own mean and std; if it told other
            classes, or in another order, it gets a new classifier. None begins with a new one.
        compiled: See `Trainer`.

    Raises:
        ConfigError: If the network cannot be had, or not be trained as is asked.
    """
    torch.manual_seed(recipe.seed)
    names, size = tuple(data.dataset.label_names), data.dataset.image_size
    network: Any = begin
    if begin is None:
        network = new_network(recipe, len(names), size)
    elif begin.pretrained_cfg.get("label_names") != names:
        network.reset_classifier(len(names))
    mean, std = network.pretrained_cfg["mean"], network.pretrained_cfg["std"]
    if begin is None and isinstance(network, CifarNet):
        mean, std = data.mean, data.std
        network.init_whitening(augment.normalize(data.sample, mean, std).cpu())
    network.pretrained_cfg["input_size"] = (3, size, size)
    kind: type[Trainer] = LinearProbe if recipe.freeze else Trainer
    if recipe.freeze and not isinstance(network.get_classifier(), nn.Linear):
        raise ConfigError(
            f"--freeze needs a network whose classifier is one linear layer, which that of "
            f"{recipe.network} is not; leave it out, or choose another network."
        )
    return kind(
        network,
        recipe,
        data.loader,
        mean=mean,
        std=std,
        accelerator=accelerator,
        outliers=data.outliers,
        # So that a class of few images counts as much as others: King and Zeng, "Logistic
        # regression in rare events data", 2001.
        class_weights=data.counts.mean(dtype=torch.float32) / data.counts
        if recipe.class_weights == "balanced"
        else None,
        compiled=compiled,
    )


def new_network(recipe: Recipe, classes: int, size: int) -> Any:
    """A network with new weights, or those that timm fetches for it, for square images of a size.

    Raises:
        ConfigError: If there are none, or the network cannot be trained on such images.
    """
    name = recipe.network
    try:
        network = timm.create_model(name, recipe.pretrained, num_classes=classes)
    except (OSError, RuntimeError) as error:  # no such weights, or no connection
        raise ConfigError(
            f"--pretrained: the weights of {name} cannot be had ({error}); check the connection, "
            "or leave it out."
        ) from None
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(2, 3, size, size))  # (2, classes)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"--network {name} takes no images of {size} pixels ({error}); choose a convolutional "
            "network, or another --image-size."
        ) from None
    return network
