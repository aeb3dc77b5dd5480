"""Take the network into your own PyTorch code. Run this in a checkout of the code."""

import timm
import torch

import model  # noqa: F401  (registers the architectures)

network = timm.create_model("local-dir:.", pretrained=True).eval()  # or "hf-hub:OWNER/NAME"
settings = timm.data.resolve_model_data_config(network)
mean, std = (torch.tensor(settings[key]).view(3, 1, 1) for key in ("mean", "std"))

images = torch.rand(4, 3, 32, 32)  # yours: RGB, values from 0 to 1
with torch.inference_mode():
    probabilities = network((images - mean) / std).softmax(dim=1)
print(probabilities.shape)
