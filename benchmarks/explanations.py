"""Which attribution method tells best what the network rests its answers on.

    python -m benchmarks.explanations --dataset uoft-cs/cifar10

Deletion covers a test image with grey, the places that a map calls important first, and follows
the probability of the predicted class: the lower it is on average, the better the map. Insertion
uncovers a blurred image in the same order: the higher, the better (Petsiuk et al., RISE, BMVC 2018,
arXiv:1806.07421). Places are blocks of 4 x 4 pixels (regions as in Samek et al., TNNLS 2017,
arXiv:1509.06321). A random map is the yardstick. Writes "explanations" in the model's results.json
and a plot.
"""

from typing import Any

import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam, NoiseTunnel, Occlusion, Saliency
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur
from tqdm import tqdm

from benchmarks._common import DATASET, load, options, plot, record, spread
from model.augment import normalize
from model.evaluation import style
from model.inference import explain
from model.inference.logits import both_views
from model.utils.errors import exit_on_error

STEPS = 16
BLOCK = 4  # pixels; single ones, covered at random, would be noise that confuses any network
AT_ONCE = 25  # images
SIGMA = 3  # pixels of blur where insertion begins
WINDOW, STRIDE = 8, 3  # pixels of the grey patch that occlusion slides over the picture
RANDOM = "random map"
USED = "integrated gradients"  # by `model.inference.explain`


def main() -> None:
    """Measures, prints, writes."""
    count = (500, "test images")
    args = options(__doc__, model=True, folder=False, dataset=DATASET, count=count)
    with exit_on_error():
        classifier, source = load(args)
        images = spread(source.splits["test"], args.count).images
    network, temperature = classifier.network, classifier.temperature
    card: Any = network.pretrained_cfg
    pixels = normalize(images, card["mean"], card["std"])
    methods: dict[str, explain.Method] = {
        "occlusion": occlusion,
        USED: explain.integrated_gradients,
        "SmoothGrad": smooth_grad,
        "Grad-CAM": grad_cam,
        RANDOM: random_map,
    }
    curves: dict[str, Tensor] = {}
    found: dict[str, dict[str, float]] = {}
    for name, method in methods.items():
        curves[name] = torch.zeros(2, STEPS + 1, dtype=torch.float64)
        for x in tqdm(pixels.split(AT_ONCE), desc=name, leave=False):
            with torch.no_grad():
                classes = both_views(network, x)[1].argmax(dim=1)  # (n,)
            heat = explain.attribution(network, x, classes, method)  # (n, S, S)
            curves[name] += scores(network, x, classes, heat, temperature) / len(pixels)
        deletion, insertion = (round(float(curve.mean()), 4) for curve in curves[name])
        found[name] = {"deletion": deletion, "insertion": insertion}
        print(f"{name:<24}", found[name], flush=True)
    plot(lambda: draw(curves), args.model / "figures" / "explanations.png")
    record(args, "explanations", {"method": USED, "images": len(pixels), "methods": found})


def occlusion(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """How far the class's logit falls when a grey patch covers the place.

    Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014,
    arXiv:1311.2901. Grey is the mean colour, 0 after normalisation.
    """
    window, strides = (3, WINDOW, WINDOW), (3, STRIDE, STRIDE)
    maps = Occlusion(network).attribute(
        pixels, window, strides, target=classes, perturbations_per_eval=16
    )
    return maps.mean(dim=1)  # (N, S, S)


def smooth_grad(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """Size of the gradient, averaged over noisy copies of the picture.

    Source: Smilkov et al., "SmoothGrad: removing noise by adding noise" (2017), arXiv:1706.03825.
    """
    torch.manual_seed(0)
    maps = NoiseTunnel(Saliency(network)).attribute(
        pixels, nt_type="smoothgrad", nt_samples=16, nt_samples_batch_size=4, stdevs=0.2,
        target=classes,
    )  # fmt: skip
    return explain.smooth(maps.sum(dim=1))  # (N, S, S)


def grad_cam(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """Channels of the first stage's map, weighted by their mean gradient.

    Source: Selvaraju et al., "Grad-CAM", ICCV 2017, arXiv:1610.02391. The map has 15 x 15 places
    for pictures of 32 x 32 pixels.
    """
    stages: Any = network.stages
    maps = LayerGradCam(network, stages[0]).attribute(pixels, target=classes)  # (N, 1, s, s)
    size = pixels.shape[-2:]
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)[:, 0]  # (N, S, S)


def random_map(_: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """Knows nothing."""
    generator = torch.Generator().manual_seed(len(pixels))
    return torch.rand(len(pixels), *pixels.shape[2:], generator=generator)  # (N, S, S)


@torch.inference_mode()
def scores(
    network: nn.Module, x: Tensor, classes: Tensor, heat: Tensor, temperature: float
) -> Tensor:
    """Summed probability of the class at each step of deletion and of insertion, (2, STEPS + 1)."""
    blocks = F.avg_pool2d(heat[:, None], BLOCK)  # (n, 1, s, s)
    rank = blocks.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)  # (n, s * s)
    rank = F.interpolate(rank.view(blocks.shape).float(), x.shape[2:])  # (n, 1, S, S)
    blurred = gaussian_blur(x, [6 * SIGMA + 1] * 2, [float(SIGMA)] * 2)  # (n, 3, S, S)
    curves = torch.zeros(2, STEPS + 1, dtype=torch.float64)
    for step in range(STEPS + 1):
        first = rank < step / STEPS * blocks[0].numel()  # (n, 1, S, S)
        for row, mixed in enumerate((x.masked_fill(first, 0), torch.where(first, x, blurred))):
            logits = both_views(network, mixed)[1].double()  # (n, C)
            probabilities = (logits / temperature).softmax(dim=1)  # (n, C)
            curves[row, step] = probabilities.gather(1, classes[:, None]).sum()
    return curves


def draw(curves: dict[str, Tensor]) -> Figure:
    """Deletion and insertion curves; the method in use is drawn bold, the random map dashed."""
    title = f"Maps by {USED} against others and a random one"
    note = "Probability of the predicted class while blocks of 4 x 4 pixels are (un)covered by rank"
    figure = style.headed_figure(8.5, 4.0, title, note)
    share = torch.linspace(0, 100, STEPS + 1).tolist()
    colors = (style.BLUE, style.RUST, "#5b8c5a", "#8a6bb1", style.MUTED)
    titles = ("Deletion: lower is better", "Insertion: higher is better")
    for row, axes in enumerate(figure.subplots(1, 2, sharey=True)):
        for (name, pair), color in zip(curves.items(), colors, strict=True):
            width, line = 2.5 if name == USED else 1.3, "--" if name == RANDOM else "-"
            axes.plot(share, pair[row].tolist(), line, color=color, linewidth=width, label=name)
        axes.set_title(titles[row], fontsize=9)
        axes.set(xlabel="% of the blocks", ylim=(0, 1))
    figure.axes[0].set_ylabel("probability")
    figure.axes[1].legend(loc="lower right")
    return figure


if __name__ == "__main__":
    main()
