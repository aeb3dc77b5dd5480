"""`--freeze`: the classifier alone is learned, from what a trained network makes of images."""

import dataclasses
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from .training import EpochReport, StepReport, Trainer

# At most so many; chosen on five and fifteen classes (benchmarks/NOTES.md).
ITERATIONS, DECAY = 20, 0.01


class LinearProbe(Trainer):
    """Trains the classifier of a frozen network, which is a convex problem.

    Steps of SGD go far too slowly along most directions of it: L-BFGS (Liu and Nocedal,
    Mathematical Programming 1989) goes on after each epoch, for the images as that epoch augmented
    them. Where the recipe averages weights, the mean of all epochs' solutions is evaluated and
    saved. What the network made of an epoch's images is kept in memory until its end.
    """

    seen: list[tuple[Tensor, Tensor, Tensor]]

    def _optimizers(self) -> tuple[Optimizer, ...]:
        return ()

    def _schedule(self, step: int) -> float:
        """There is no rate: L-BFGS finds how far to go by itself."""
        return 0.0

    def _begin_epoch(self, epoch: int) -> None:
        self.parallel.eval()  # or the statistics of batch normalisation would change
        self.seen = []

    def train_epoch(self, on_step: Callable[[StepReport], None] | None = None) -> EpochReport:
        """See `Trainer`. While it runs, the loss is that of the classifier of the epoch before."""
        report, began = super().train_epoch(on_step), time.perf_counter()
        loss = self._solve()
        seconds = report.seconds + time.perf_counter() - began
        return dataclasses.replace(report, loss=loss, seconds=seconds)

    def _gradients(self, images: Tensor, labels: Tensor, size: int, batch: int) -> Tensor:
        """Keeps what the classifier will learn from, not gradients; this part's share of the loss.

        Images have their full size, since the network no longer learns coarse shapes first.
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

    def _solve(self) -> float:
        """Goes on from the classifier of the epoch before; the loss that is left."""
        # Every process solves the whole; rows that fill up a share have no weight.
        features, targets, weights = (
            self.accelerator.gather(self.accelerator.pad_across_processes(torch.cat(parts)))
            for parts in zip(*self.seen, strict=True)
        )  # (N, F), (N, classes), (N,): of a whole epoch
        self.seen = []
        classifier = self.network.get_classifier()
        solver = LBFGS(classifier.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            losses = F.cross_entropy(classifier(features), targets, reduction="none")  # (N,)
            return (losses * weights).sum() / weights.sum()

        def closure() -> Tensor:
            solver.zero_grad()
            penalised = loss() + DECAY * classifier.weight.square().sum()
            penalised.backward()
            return penalised

        solver.step(closure)
        solver.zero_grad()
        if self.ema:
            averages = self.ema.module.get_classifier().parameters()
            for average, param in zip(averages, classifier.parameters(), strict=True):
                average.data.lerp_(param.data, 1 / self.epochs_done)
        with torch.no_grad():
            return loss().item()
