"""`--freeze`: the classifier alone is learned, from what a trained network makes of images."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from .training import EpochReport, StepReport, Trainer

# Chosen on three classes of 40 pictures (benchmarks/NOTES.md).
ITERATIONS, DECAY = 20, 0.01


class LinearProbe(Trainer):
    """Trains the classifier of a frozen network, which is a convex problem.

    Steps of SGD go far too slowly along most directions of it: L-BFGS (Liu and Nocedal,
    Mathematical Programming 1989) solves it after each epoch, for the images as that epoch
    augmented them. What is evaluated and saved is the mean of all epochs' solutions.
    """

    recordable = False

    def __init__(self, network: nn.Module, *args: Any, **options: Any) -> None:
        network.requires_grad_(False)
        body: Any = network
        body.get_classifier().requires_grad_(True)
        super().__init__(network, *args, **options)
        self.seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def _optimizers(self) -> tuple[Optimizer, ...]:
        return ()

    def _schedule(self, step: int) -> float:
        """L-BFGS finds how far to go by itself."""
        return 1.0

    def _begin_epoch(self, epoch: int) -> None:
        self.parallel.eval()  # or the statistics of batch normalisation would change
        self.seen.clear()

    def train_epoch(self, on_step: Callable[[StepReport], None] | None = None) -> EpochReport:
        """See `Trainer`. The loss is that of the classifier of the epoch before."""
        report = super().train_epoch(on_step)
        self._solve()
        return report

    def _gradients(self, images: Tensor, labels: Tensor, size: int, batch: int) -> Tensor:
        """Keeps what the classifier will learn from; this part's share of the mean loss.

        At their full size, since the network no longer learns coarse shapes first.
        """
        images, targets, weights = self._with_outliers(images, labels)  # (N + M, ...), each
        x = self._augment(images, images.shape[-1])  # (N + M, C, S, S)
        with torch.no_grad(), self.accelerator.autocast():
            features = self.network.forward_features(x)  # (N + M, F, h, w)
            features = self.network.forward_head(features, pre_logits=True).float()  # (N + M, F)
            logits = self.network.get_classifier()(features).float()  # (N + M, classes)
        self.seen.append((features, targets, weights))
        return (F.cross_entropy(logits, targets, reduction="none") * weights).sum() / batch

    def _optimizer_step(self) -> None:
        """Nothing: see `_solve`."""

    def _solve(self) -> None:
        """Goes on from the classifier of the epoch before; all processes take the same steps."""
        features, targets, weights = (torch.cat(parts) for parts in zip(*self.seen, strict=True))
        classifier = self.network.get_classifier()
        params = list(classifier.parameters())
        together = self.accelerator.reduce(weights.sum())
        solver = LBFGS(params, max_iter=ITERATIONS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            solver.zero_grad()
            losses = F.cross_entropy(classifier(features), targets, reduction="none")  # (N,)
            decay = DECAY * classifier.weight.square().sum() / self.accelerator.num_processes
            part = (losses * weights).sum() / together + decay
            part.backward()
            for param in params:
                param.grad = self.accelerator.reduce(param.grad)
            whole: Tensor = self.accelerator.reduce(part.detach())
            return whole

        solver.step(loss)
        solver.zero_grad()
        if self.ema:
            averages = self.ema.module.get_classifier().parameters()
            for average, param in zip(averages, params, strict=True):
                average.data.lerp_(param.data, 1 / self.epochs_done)
