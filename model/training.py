"""The training loop's pieces: one step, one epoch, and a state that can be saved and taken up."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.optim import Optimizer

from . import augment, distort
from .data import Loader
from .network import CifarNet
from .optimizer import build_optimizers, linear_warmup_decay
from .recipe import Recipe
from .utils.device import plan_for
from .utils.errors import TrainingError
from .utils.graphs import GraphedStep

CHECK_EVERY = 10  # steps between looks at the loss, which on a GPU wait for it to arrive
# Outlier exposure (Hendrycks et al., ICLR 2019, arXiv:1812.04606) gives outliers half the weight of
# the images, over all; here a quarter as many count twice, which costs less time. A recipe may add
# jigsaws of the images, which count as much each.
OUTLIER_SHARE, OUTLIER_WEIGHT = 0.25, 2.0


@dataclass(frozen=True)
class StepReport:
    """What a progress bar wants to know."""

    step: int
    """Steps done in this epoch."""
    steps: int
    """Steps of an epoch."""
    loss: float
    """Mean training loss of the epoch so far, with outliers and smoothed labels: above that of
    validation images."""
    learning_rate: float
    """Of the first group of parameters: Muon's, where there is Muon."""
    images_per_second: float
    """Of this epoch so far, over all processes."""


@dataclass(frozen=True)
class EpochReport:
    """One epoch in numbers: its loss is the mean over all processes, its images those of all."""

    loss: float
    learning_rate: float
    seconds: float
    images: int


class Trainer:
    """A network, its optimizers and its weight average, trained epoch by epoch.

    Everything random is a function of (seed, epoch, step, micro-batch), so an epoch can be taken up
    from its beginning with the same result, bit for bit on a CPU. Where micro-batches can be shared
    evenly, several processes arrive at the gradients of one, but for rounding.

    Args:
        network: Trained in place, where its parameters want gradients; the first layer of one of
            ours should be whitened.
        recipe: What to do.
        batches: Where images come from.
        mean: Of each channel, in [0, 1].
        std: Of each channel, in [0, 1].
        accelerator: Decides device, processes and precision.
        outliers: Pictures of none of the classes, uint8 (M, 3, S, S) on the device.
        class_weights: Of each class's images in the loss, (C,); None weighs all alike.
        compiled: Whether the network is compiled first, which takes a while on a GPU.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        batches: Loader,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        accelerator: Accelerator,
        outliers: Tensor | None = None,
        class_weights: Tensor | None = None,
        compiled: bool = False,
    ) -> None:
        self.recipe, self.batches, self.accelerator = recipe, batches, accelerator
        self.device = accelerator.device
        self.outliers = outliers
        self.epochs_done = 0
        ours = isinstance(network, CifarNet)
        body: Any = network
        # The first layer's bias is frozen after some epochs; timm's networks have no such layer.
        self.stem_bias: Any = body.stem.conv.bias if ours else None
        self.stem_frozen = False
        # The order that convolutions compute in, on processors and GPUs: 1.5 times as fast.
        network.to(memory_format=torch.channels_last)
        self.network: Any = network.to(self.device)
        classes: Any = network.num_classes
        alike = torch.ones(classes)  # (C,)
        self.class_weights = (alike if class_weights is None else class_weights).to(self.device)
        self.ema = ModelEmaV3(self.network, decay=recipe.ema_decay) if recipe.ema_decay else None
        self.parallel: nn.Module = accelerator.prepare(self.network)
        # One program a resolution: one for all sizes took longer to compile than to train.
        self.forward: Any = (
            torch.compile(self.parallel, dynamic=False) if compiled else self.parallel
        )
        self.mean, self.std = (torch.empty(len(mean), device=self.device) for _ in range(2))  # (3,)
        self._normalize_by(mean, std)
        self.plan = plan_for(
            self.device,
            accelerator.num_processes,
            # None can be recorded: what --freeze keeps, float16's scale, and AdamW's rate.
            recordable=not recipe.freeze and not accelerator.scaler and ours,
        )
        self.optimizers = self._optimizers()
        # The schedule scales these; what the optimizers hold is the rate of the moment.
        self.peaks = [[float(group["lr"]) for group in o.param_groups] for o in self.optimizers]
        self.random = torch.Generator(self.device)
        # A GPU takes a whole batch at once, and replays the recorded step as a CUDA graph.
        self.whole_step: Callable[..., Tensor] = self._whole_step
        if self.plan.graphs:
            self.whole_step = GraphedStep(self._whole_step, self.random)

    @property
    def ema_or_model(self) -> Any:
        """The network to evaluate and save: the moving average where there is one."""
        return self.ema.module if self.ema else self.network

    def _normalize_by(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Sets what images are normalised by, here and for whoever loads the saved network."""
        self.mean.copy_(torch.tensor(mean))  # in place, as a CUDA graph keeps its address
        self.std.copy_(torch.tensor(std))
        for network in {self.network, self.ema_or_model}:
            network.pretrained_cfg |= dict(mean=tuple(mean), std=tuple(std))

    def train_epoch(self, on_step: Callable[[StepReport], None] | None = None) -> EpochReport:
        """Trains one epoch.

        Args:
            on_step: Called every few steps and at the epoch's end.

        Raises:
            TrainingError: If the loss is not finite; names step and learning rate.
        """
        epoch, steps, started = self.epochs_done, self.batches.steps, time.perf_counter()
        total = torch.zeros((), device=self.device)  # summed there, so that no step waits for it
        images_seen = done = 0
        rate = 0.0
        self._begin_epoch(epoch)
        for images, labels, indices in self.batches.epoch(epoch):
            rate = self._schedule(epoch * steps + done)
            total += self._step(images, labels, indices, done)
            done += 1
            images_seen += len(images) * self.accelerator.num_processes
            # Reading the loss waits for the GPU: not in every step.
            if done == 1 or done % CHECK_EVERY == 0 or done == steps:
                loss, speed = total.item() / done, images_seen / (time.perf_counter() - started)
                report = StepReport(done, steps, loss, rate, speed)
                self._check_finite(report, epoch)
                if on_step:
                    on_step(report)
        if done != steps:
            raise TrainingError(
                f"Epoch {epoch + 1} had {done} steps instead of {steps}: the dataset ended early. "
                "Check that it did not change, then go on with --resume."
            )
        self.epochs_done += 1
        mean_loss = self.accelerator.reduce(total / steps, reduction="mean").item()
        return EpochReport(mean_loss, rate, time.perf_counter() - started, images_seen)

    def _optimizers(self) -> tuple[Optimizer, ...]:
        return build_optimizers(self.network, self.recipe, self.plan.graphs)

    def _begin_epoch(self, epoch: int) -> None:
        """Freezes the first layer's bias after some epochs: backward passes end behind it then.

        DistributedDataParallel wants the same set of gradients in every step, so there the bias
        keeps its gradient and loses it before the optimizer sees it, to the same effect.
        """
        self.parallel.train()  # validation left it in evaluation mode
        if self.stem_bias is None:
            return
        self.stem_frozen = epoch >= self.recipe.stem_bias_epochs
        if self.accelerator.num_processes == 1:
            self.stem_bias.requires_grad_(not self.stem_frozen)

    def _schedule(self, step: int) -> float:
        """Sets the learning rates of one step; returns the first group's."""
        recipe, steps = self.recipe, self.batches.steps * self.recipe.epochs
        factor = linear_warmup_decay(step, steps, recipe.warmup, recipe.final_rate)
        for optimizer, peaks in zip(self.optimizers, self.peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                if isinstance(group["lr"], Tensor):  # where a recorded step reads it
                    group["lr"].fill_(peak * factor)
                else:
                    group["lr"] = peak * factor
        return self.peaks[0][0] * factor

    def _step(self, images: Tensor, labels: Tensor, indices: Tensor, step: int) -> Tensor:
        """One optimizer step on this process's share of a batch; the mean loss.

        Args:
            images: uint8 (N, C, H, W).
            labels: int64 (N,).
            indices: Row of each image in its dataset, int64 (N,).
            step: Of this epoch, from 0.
        """
        recipe, epoch, steps = self.recipe, self.epochs_done, self.batches.steps
        if recipe.flip:
            images = augment.flip_alternating(images, indices, epoch, recipe.seed)
        size = recipe.size_at(epoch * steps + step, steps * recipe.epochs, images.shape[-1])
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        if self.plan.whole_batches:
            self._seed(step, rank)
            return self.whole_step(images, labels, size=size, frozen=self.stem_frozen)
        # Micro-batches fit a CPU's caches; each has random numbers of its own, so that it does not
        # matter which process takes it. Batch normalisation sees one at a time, so that another
        # number of them trains another network.
        share = -(-recipe.gradient_accumulation_steps // processes)
        parts = min(share, len(images))
        pieces = zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True)
        mean = torch.zeros((), device=self.device)
        for i, piece in enumerate(pieces):  # (N / parts, C, H, W), (N / parts,)
            self._seed(step, share * rank + i)
            with nullcontext() if i == parts - 1 else self.accelerator.no_sync(self.parallel):
                mean += self._gradients(*piece, size, len(images))
        self._optimizer_step()
        return mean

    def _seed(self, step: int, part: int) -> None:
        """Sets the random numbers of a micro-batch, which is counted over all processes."""
        key = (self.recipe.seed, self.epochs_done, step, part)
        number = hash(key) % 2**63  # ints hash the same in every process and run
        self.random.manual_seed(number)
        torch.manual_seed(number)  # dropout, which some networks have, knows no other generator

    def _whole_step(self, images: Tensor, labels: Tensor, *, size: int, frozen: bool) -> Tensor:
        """A step in one piece, which can be recorded as a graph; `frozen` tells graphs apart."""
        loss = self._gradients(images, labels, size, len(images))
        self._optimizer_step()
        return loss

    def _gradients(self, images: Tensor, labels: Tensor, size: int, batch: int) -> Tensor:
        """Adds the gradients of a part of `batch` images; this part's share of the mean loss."""
        images, targets, weights = self._with_outliers(images, labels)  # (N + M, ...), each
        x = self._augment(images, size)  # (N + M, C, size, size)
        with self.accelerator.autocast():
            logits = self.forward(x)  # (N + M, classes)
        # In float32 also under autocast: a mean over thousands loses digits in 16 bits.
        losses = F.cross_entropy(logits.float(), targets, reduction="none")  # (N + M,)
        loss = (losses * weights).sum() / batch
        self.accelerator.backward(loss)
        return loss.detach()

    def _with_outliers(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A part of a batch and what it is to answer: outliers, not mirrored, follow the images.

        Returns:
            Images (N + M, C, H, W), target probabilities (N + M, classes), and each one's weight
            in the loss (N + M,).
        """
        classes, on = self.network.num_classes, self.device
        # Label smoothing (Szegedy et al. 2016): the rest of the probability is spread evenly.
        smooth = self.recipe.label_smoothing / classes
        targets = torch.full((len(labels), classes), smooth, device=on)  # (N, classes)
        targets.scatter_(1, labels[:, None], 1 - self.recipe.label_smoothing + smooth)
        weights = self.class_weights[labels]  # (N,): a patch of another picture changes none
        if self.recipe.cutmix:
            images, targets = augment.cutmix(images, targets, self.recipe.cutmix, self.random)
        if self.outliers is None:
            return images, targets, weights
        count = round(OUTLIER_SHARE * len(images))
        rows = torch.randint(len(self.outliers), (count,), generator=self.random, device=on)
        outliers = self.outliers[rows]  # (M, C, H, W)
        if self.recipe.jigsaw:
            some = images[: round(self.recipe.jigsaw * len(images))]
            outliers = torch.cat((outliers, augment.jigsaw(some, self.random)))  # (M, C, H, W)
        # All classes are equally improbable.
        even = torch.full((len(outliers), classes), 1 / classes, device=on)  # (M, classes)
        if self.recipe.cutmix:  # what is mixed of two belongs to no class either
            outliers, even = augment.cutmix(outliers, even, 0.5, self.random)
        heavy = torch.full((len(outliers),), OUTLIER_WEIGHT, device=on)  # (M,)
        return (
            torch.cat((images, outliers)),  # (N + M, C, H, W)
            torch.cat((targets, even)),  # (N + M, classes)
            torch.cat((weights, heavy)),  # (N + M,)
        )

    def _augment(self, images: Tensor, size: int) -> Tensor:
        """Bytes (N, C, H, W) to augmented floats (N, C, size, size)."""
        recipe, random = self.recipe, self.random
        if recipe.translate:
            images = augment.translate(images, recipe.translate, random)
        shares = distort.shares_of(recipe)
        if any(shares.values()):
            images = distort.distort(images, shares, random)
        x = augment.normalize(images, self.mean, self.std)
        if recipe.cutout:
            x = augment.cutout(x, recipe.cutout, random)
        return augment.resize(x, size)  # (N, C, size, size)

    def _optimizer_step(self) -> None:
        """Lets the optimizers use the gradients, clears those, and moves the average.

        accelerate's own wrapper would change float16's scale between the two optimizers.
        """
        if self.stem_frozen:
            self.stem_bias.grad = None
        scaler = self.accelerator.scaler
        for optimizer in self.optimizers:
            if scaler:
                scaler.step(optimizer)
            else:
                optimizer.step()
        if scaler:
            scaler.update()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        if self.ema:
            self.ema.update(self.network)

    def _check_finite(self, report: StepReport, epoch: int) -> None:
        if not math.isfinite(report.loss):
            raise TrainingError(
                f"The loss became {report.loss} in epoch {epoch + 1} by step {report.step} at "
                f"learning rate {report.learning_rate:.3g}. Try a lower --learning-rate "
                f"(half of {self.recipe.learning_rate:g}), a longer --warmup, or "
                "--mixed-precision no."
            )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the next epoch depends on: tensors on the CPU, and plain values."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        if self.ema:
            tensors |= {f"average.{k}": v for k, v in self.ema.module.state_dict().items()}
        for name, optimizer, param in self._trained():
            for key, value in optimizer.state.get(param, {}).items():
                if isinstance(value, Tensor):
                    tensors[f"{key}.{name}"] = value
        # channels_last tensors are not contiguous to safetensors
        tensors = {
            k: v.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
            for k, v in tensors.items()
        }
        scaler = self.accelerator.scaler
        about = self.network.pretrained_cfg
        values = {
            "epochs_done": self.epochs_done,
            "normalization": (about["mean"], about["std"]),
            "scaler": scaler.state_dict() if scaler else None,
        }
        return tensors, values

    def load_state(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Takes up a state that `state` gave.

        Raises:
            TrainingError: If it belongs to another network or recipe.
        """

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        try:
            self.network.load_state_dict(part("network."))
            if self.ema:
                self.ema.module.load_state_dict(part("average."))
            trained = {name: (optimizer, param) for name, optimizer, param in self._trained()}
            for full_name, saved in tensors.items():
                key, name = full_name.split(".", 1)
                if key in ("network", "average"):
                    continue
                optimizer, param = trained[name]
                kept = optimizer.state[param]
                if kept.get(key) is None:  # as the optimizer would make it, but for "step"
                    kept[key] = saved.clone() if key == "step" else torch.empty_like(param)
                kept[key].copy_(saved)  # in place: a CUDA graph keeps its address
            self.epochs_done = int(values["epochs_done"])
            # A run that began with a saved model has its mean and std, not the data's.
            self._normalize_by(*values["normalization"])
        except (KeyError, RuntimeError) as error:
            raise TrainingError(
                f"The checkpoint does not fit this recipe ({str(error).splitlines()[0]}); "
                "start a new run instead of resuming."
            ) from None
        if self.accelerator.scaler and values["scaler"]:
            self.accelerator.scaler.load_state_dict(values["scaler"])

    def _trained(self) -> Iterator[tuple[str, Any, nn.Parameter]]:
        """Every trained parameter with its name and its optimizer."""
        names = {id(param): name for name, param in self.network.named_parameters()}
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                for param in group["params"]:
                    yield names[id(param)], optimizer, param
