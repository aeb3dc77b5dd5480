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
from tqdm import tqdm

from benchmarks._common import arguments, load, plot, record, spread
from model.augment import normalize
from model.evaluation import style
from model.inference import explain, ood
from model.utils.errors import exit_on_error

STEPS = 16
BLOCK = 4  # pixels; single ones, covered at random, would be noise that confuses any network
AT_ONCE = 25  # images
SIGMA = 3.0  # pixels of blur where insertion begins
WINDOW, STRIDE = 8, 3  # pixels of the grey patch that occlusion slides over the picture
RANDOM = "random map"
USED = "integrated gradients"  # by `model.inference.explain`


def main() -> None:
    """Measures, prints, writes."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--count", type=int, default=500, help="test images (default: 500)")
    args = parser.parse_args()
    with exit_on_error():
        classifier, source = load(args)
        rows = spread(args.count, len(source.splits["test"].labels))
        images = source.splits["test"].load(rows).images
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
    found: dict[str, dict[str, float]] = {}
    curves: dict[str, tuple[Tensor, Tensor]] = {}
    for name, method in methods.items():
        sums = torch.zeros(2, STEPS + 1, dtype=torch.float64)
        for x in tqdm(pixels.split(AT_ONCE), desc=name, leave=False):
            with torch.no_grad():
                classes = ood.logits_and_features(network, x)[0].argmax(dim=1)  # (n,)
            heat = explain.attribution(network, x, classes, method)  # (n, S, S)
            sums += torch.stack(scores(network, x, classes, heat, temperature))
        deletion, insertion = sums / len(pixels)  # (STEPS + 1,), (STEPS + 1,)
        curves[name] = deletion, insertion
        found[name] = {
            "deletion": round(float(deletion.mean()), 4),
            "insertion": round(float(insertion.mean()), 4),
        }
        print(f"{name:<24}", found[name], flush=True)
    plot(args, "explanations", lambda: draw(curves))
    content = {"method": USED, "images": len(pixels), "methods": found}
    record(args, "explanations", content)


def occlusion(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """How far the class's logit falls when a grey patch covers the place.

    Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014,
    arXiv:1311.2901. Grey is the mean colour, 0 after normalisation.
    """
    maps = Occlusion(network).attribute(
        pixels,
        sliding_window_shapes=(3, WINDOW, WINDOW),
        strides=(3, STRIDE, STRIDE),
        target=classes,
        perturbations_per_eval=16,
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
) -> tuple[Tensor, Tensor]:
    """Summed probability of the class at each step of deletion and of insertion, (STEPS + 1,)."""
    height, width = x.shape[2:]
    blocks = F.avg_pool2d(heat[:, None], BLOCK)  # (n, 1, s, s)
    rank = blocks.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)  # (n, s * s)
    rank = F.interpolate(rank.view(blocks.shape).float(), (height, width))  # (n, 1, S, S)
    blurred = blur(x)
    curves = torch.zeros(2, STEPS + 1, dtype=torch.float64)
    for step in range(STEPS + 1):
        first = rank < step / STEPS * blocks[0].numel()  # (n, 1, S, S)
        for row, mixed in enumerate((x.masked_fill(first, 0), torch.where(first, x, blurred))):
            logits = ood.logits_and_features(network, mixed)[0].double()  # (n, C)
            probabilities = (logits / temperature).softmax(dim=1)  # (n, C)
            curves[row, step] = probabilities.gather(1, classes[:, None]).sum()
    return curves[0], curves[1]


def blur(x: Tensor) -> Tensor:
    """Images (N, 3, S, S) without detail."""
    reach = int(3 * SIGMA)
    kernel = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * SIGMA**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).repeat(3, 1, 1, 1)  # (3, 1, 1, k)
    x = F.pad(x, (reach,) * 4, mode="reflect")  # (N, 3, S + 2 reach, S + 2 reach)
    x = F.conv2d(x, kernel, groups=3)  # (N, 3, S + 2 reach, S)
    return F.conv2d(x, kernel.transpose(2, 3), groups=3)  # (N, 3, S, S)


def draw(curves: dict[str, tuple[Tensor, Tensor]]) -> Figure:
    """Deletion and insertion curves; the method in use is drawn bold, the random map dashed."""
    title = f"Maps by {USED} against others and a random one"
    note = "Probability of the predicted class while blocks of 4 x 4 pixels are (un)covered by rank"
    figure = style.headed_figure(8.5, 4.0, title, note)
    share = torch.linspace(0, 100, STEPS + 1).tolist()
    colors = (style.BLUE, style.RUST, "#5b8c5a", "#8a6bb1", style.MUTED)
    titles = ("Deletion: lower is better", "Insertion: higher is better")
    for axes, row in zip(figure.subplots(1, 2, sharey=True), (0, 1), strict=True):
        for (name, pair), color in zip(curves.items(), colors, strict=True):
            axes.plot(
                share,
                pair[row].tolist(),
                color=color,
                linewidth=2.5 if name == USED else 1.3,
                linestyle="--" if name == RANDOM else "-",
                label=name,
            )
        axes.set_title(titles[row], fontsize=9)
        axes.set(xlabel="% of the blocks", ylim=(0, 1))
    figure.axes[0].set_ylabel("probability")
    figure.axes[1].legend(loc="lower right")
    return figure


if __name__ == "__main__":
    main()
