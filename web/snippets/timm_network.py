"""Take the network into your own PyTorch code."""

import timm
import torch

from model import Classifier

# What timm.create_model("hf-hub:OWNER/NAME", pretrained=True) gives for a model on the hub.
network = Classifier.from_pretrained().network
settings = timm.data.resolve_model_data_config(network)
mean, std = (torch.tensor(settings[key]).view(3, 1, 1) for key in ("mean", "std"))

images = torch.rand(4, 3, 32, 32)  # yours: RGB, values from 0 to 1
with torch.inference_mode():
    probabilities = network((images - mean) / std).softmax(dim=1)
print(probabilities.shape)
