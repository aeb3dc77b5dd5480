"""The process that trains for the page: `python -m web.worker`, spoken to in lines of JSON.

The first line on stdin is the job; a later line asks to stop; the end of stdin, which comes with
the end of the app however that ends, ends the process at once. Answers go to stdout, a line each.
"""

import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

import timm
import torch
import torch.nn.functional as F
from accelerate import Accelerator, PartialState
from torch import Tensor

import model  # noqa: F401  (registers the networks)
from model import augment, hub, training
from model.data import Loader, load_training_data
from model.evaluation import finish
from model.inference.logits import predict_logits
from model.recipe import RECIPES, DataOptions
from model.utils.device import resolve_mixed_precision, use_all_cores
from model.utils.errors import CifarnetError
from model.utils.machine import cores
from model.utils.memory import keep_memory
from web.charts import data_uri

SHOWN = 6  # pictures whose predictions are reported
CACHE_LIMIT = 1.0  # GiB of pixels kept in memory; a larger dataset is streamed
PATIENCE = 0.5  # seconds between reports
MOST_VALIDATED = 2_000  # images held back that accuracy is measured on


class Stopped(Exception):
    """Somebody pressed stop."""


class Lesson:
    """One training, reported as it goes.

    Args:
        job: "network", "recipe", "dataset" and "output", the folder the model is written to.
        out: Where reports go.
    """

    def __init__(self, job: dict[str, Any], out: TextIO) -> None:
        self._job, self._out = job, out
        self.stop = threading.Event()
        self._last_report = 0.0
        self._step, self._sum, self._trained = 0, 0.0, False

    def run(self) -> None:
        """Reads, trains and saves; what is trained when somebody stops it is saved too.

        Raises:
            CifarnetError: If the dataset cannot be used or the training fails.
        """
        self._prepare()
        try:
            for epoch in range(self.recipe.epochs):
                self._step, self._sum = 0, 0.0
                self.trainer.train_epoch(lambda report, epoch=epoch: self._on_step(report, epoch))  # type: ignore[misc]
                self._validate(epoch + 1)
        except Stopped:
            if not self._trained:
                raise
            self._validate(None)
        self.say("saving")
        names = list(self.data.dataset.label_names)
        network, output = self.trainer.ema_or_model, self._job["output"]
        calibration = finish.fit_calibration(network, self.data)
        extra = {"doubt": calibration.to_dict()} if calibration else None
        hub.save_pretrained(network, output, label_names=names, extra=extra)
        self.say("saved")

    def _prepare(self) -> None:
        recipe = dataclasses.replace(RECIPES[self._job["recipe"]], network=self._job["network"])
        precision = resolve_mixed_precision(recipe.mixed_precision, PartialState().device)
        accelerator = Accelerator(
            mixed_precision=precision,
            gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        )
        self.recipe = recipe
        self.data = load_training_data(
            DataOptions(self._job["dataset"]),
            recipe,
            cache_limit=CACHE_LIMIT,
            device=accelerator.device,
            progress=self._on_read,
        )
        torch.manual_seed(recipe.seed)
        network: Any = timm.create_model(
            recipe.network, num_classes=len(self.data.dataset.label_names)
        )
        size = self.data.dataset.image_size
        statistics: Any = dict(mean=self.data.mean, std=self.data.std)
        network.pretrained_cfg |= dict(input_size=(3, size, size), **statistics)
        network.init_whitening(augment.normalize(self.data.sample, **statistics).cpu())
        self.trainer = training.Trainer(
            network, recipe, Watched(self.data.loader, self), accelerator=accelerator, **statistics
        )
        self._introduce()

    def _introduce(self) -> None:
        """Reports what is trained on, and the pictures, held back and of different classes."""
        held = self.data.validation
        assert held is not None  # every recipe holds images back
        labels, rows = held.labels.tolist(), []
        for label in dict.fromkeys(labels):
            rows.append(labels.index(label))
        rows = rows[:SHOWN]
        self.shown: Tensor = held.images[rows]  # (6, 3, S, S)
        names = self.data.dataset.label_names
        self.say(
            "started",
            images=[data_uri(one) for one in self.shown.cpu().permute(0, 2, 3, 1).numpy()],
            truth=[names[labels[row]] for row in rows],
            sizes=self.data.sizes,
            classes=len(names),
            epochs=self.recipe.epochs,
            steps=self.data.loader.steps,
        )

    def check(self) -> None:
        """Gives way to whoever pressed stop."""
        if self.stop.is_set():
            raise Stopped

    def _on_read(self, done: int, count: int) -> None:
        self.check()
        if self._due():
            self.say("reading", done=done, count=count)

    def _on_step(self, report: training.StepReport, epoch: int) -> None:
        total = report.loss * report.step  # the report's loss is the epoch's mean so far
        loss = (total - self._sum) / (report.step - self._step)
        self._step, self._sum, self._trained = report.step, total, True
        at = epoch + report.step / report.steps
        self.say("step", at=at, loss=loss, speed=report.images_per_second)
        if self._due():
            self._answer()

    def _answer(self) -> None:
        """Reports what the network says to the pictures by now."""
        logits = self._logits(self.shown)  # (6, C)
        top = logits.softmax(dim=1).topk(min(3, logits.shape[1]), dim=1)
        names = self.data.dataset.label_names
        answers = [
            [[names[i], p] for i, p in zip(classes, row, strict=True)]
            for classes, row in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]
        self.say("answers", answers=answers)

    def _validate(self, epoch: int | None) -> None:
        """Reports loss and accuracy on the images held back; None: of a stopped training."""
        held = self.data.validation
        assert held is not None
        every = -(-len(held) // MOST_VALIDATED)  # spread, for datasets that lie sorted by class
        logits = self._logits(held.images[::every])  # (n, C)
        labels = held.labels[::every].cpu()
        accuracy = (logits.argmax(1) == labels).double().mean().item()
        loss = F.cross_entropy(logits, labels).item()
        self.say("epoch", epoch=epoch, accuracy=accuracy, loss=loss)
        self._answer()

    def _logits(self, images: Tensor) -> Tensor:
        return predict_logits(self.trainer.ema_or_model, images)

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._last_report < PATIENCE:
            return False
        self._last_report = now
        return True

    def say(self, kind: str, **content: Any) -> None:
        """Reports one thing."""
        print(json.dumps({"kind": kind, **content}), file=self._out, flush=True)


class Watched(Loader):
    """Batches that stop between two steps when they are asked to."""

    def __init__(self, batches: Loader, lesson: Lesson) -> None:
        self._batches, self._lesson = batches, lesson
        self.steps = batches.steps

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yields what the batches yield."""
        for batch in self._batches.epoch(epoch):
            self._lesson.check()
            yield batch


def listen(lesson: Lesson) -> None:
    """Waits for a line, which asks to stop, or for the end of the app, which ends everything."""
    for _ in sys.stdin:
        lesson.stop.set()
    os._exit(1)


def main() -> None:
    """Trains as the first line on stdin says."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not mix with the reports
    if hasattr(os, "nice"):
        os.nice(10)  # whoever classifies comes first, and has a core besides
    use_all_cores(max(1, cores() - 1))
    keep_memory()
    training.CHECK_EVERY = 1  # somebody is watching
    lesson = Lesson(json.loads(sys.stdin.readline()), out)
    threading.Thread(target=listen, args=(lesson,), daemon=True).start()
    try:
        lesson.run()
    except Stopped:
        lesson.say("stopped")
    except CifarnetError as error:
        lesson.say("failed", text=str(error))
    except Exception as error:
        lesson.say("failed", text=f"The training broke off ({type(error).__name__}: {error}).")
        raise
    finally:
        out.flush()
    os._exit(0)  # the listener still waits for a line


if __name__ == "__main__":
    main()
