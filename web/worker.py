"""The process that trains for the page: `python -m web.worker SECONDS OPTIONS_OF_TRAIN_PY`.

SIGTERM asks it to stop; the end of stdin, which comes with the end of the app however that ends,
ends it at once. Every line on stdout is JSON with new values for fields of `web.trainings.State`.
"""

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from typing import Any, TextIO

import torch.nn.functional as F
from accelerate import Accelerator, PartialState
from torch import Tensor

import model  # noqa: F401  (registers the networks)
from model import hub, options, training
from model.build import build_trainer
from model.data import load_training_data, open_for_training
from model.evaluation import finish
from model.inference.logits import predict_logits
from model.utils.device import resolve_mixed_precision, use_all_cores
from model.utils.errors import CifarnetError, DataError
from model.utils.machine import machine, peak_memory_mib
from model.utils.memory import keep_memory
from web.charts import data_uri
from web.matrix import MOST_CLASSES

GRACE = 600.0  # seconds that a stopped training has for its last step and for saving
SHOWN = 6  # pictures whose predictions are reported
CACHE_LIMIT = 1.0  # GiB of pixels kept in memory; a larger dataset is streamed
PATIENCE = 1.0  # seconds between reports of what nobody could follow faster
MOST_VALIDATED = 2_000  # images held back that accuracy is measured on


class Stopped(Exception):
    """Somebody pressed stop, or time is up."""


class TrainingJob:
    """One training, reported as it goes.

    Args:
        longest: Seconds after which it is stopped.
        asked: As for train.py.
        out: Where reports go.
    """

    def __init__(self, longest: float, asked: options.Options, out: TextIO) -> None:
        self._asked, self._out = asked, out
        self.stop = threading.Event()
        self._end = time.monotonic() + longest
        self._last_report = self._done = self._sum = 0.0
        self._history: list[dict[str, Any]] = []

    def run(self) -> None:
        """Reads, trains, measures and saves; what is trained when somebody stops it is saved too.

        Raises:
            CifarnetError: If the dataset cannot be used or the training fails.
            Stopped: If there is nothing to save yet.
        """
        self._prepare()
        self._began = time.perf_counter()
        try:
            while self.trainer.epochs_done < self.recipe.epochs:
                self.trainer.train_epoch(self._on_step)
                self._validate()
        except Stopped:
            if not self._done:
                raise
            self._validate()
        self._answer()
        self.say(phase="saving")
        finish.measure_and_save(  # looks at the test images, now and not before
            self.trainer.ema_or_model,
            self._asked.output,
            self.data,
            self.options,
            self.recipe,
            self.trainer.device,
            {
                "epochs": self._history,
                "seconds": sum(row["seconds"] for row in self._history),
                "peak_memory_mib": peak_memory_mib(),
                "machine": machine(self.trainer.device),
                "processes": 1,
                "bad_images": [],
            },
        )

    def _prepare(self) -> None:
        dataset = open_for_training(self._asked.data)
        recipe, self.options = self._asked.plan_for(len(dataset.labels("train")))
        precision = resolve_mixed_precision(recipe.mixed_precision, PartialState().device)
        self.recipe = dataclasses.replace(recipe, mixed_precision=precision)
        accelerator = Accelerator(mixed_precision=precision)
        self.data = load_training_data(
            dataset,
            self.options,
            self.recipe,
            cache_limit=CACHE_LIMIT,
            device=accelerator.device,
            progress=self._on_read,
        )
        self.names = list(self.data.dataset.label_names)
        self.recipe = dataclasses.replace(self.recipe, val_size=self.data.val_size)
        source = self.options.init_from
        begin: Any = hub.from_pretrained(source) if source else None
        self.trainer = build_trainer(self.recipe, self.data, accelerator, begin=begin)
        self._introduce()

    def _introduce(self) -> None:
        """Reports what is trained on, and the pictures, held back and of different classes."""
        held = self.data.validation
        if held is None:  # a tenth of fewer than ten
            raise DataError("The dataset has too few images to hold some back; add some.")
        labels, seen = held.labels.tolist(), Counter[int]()
        turns = []  # one of each class, then a second one of each, and so on
        for row, label in enumerate(labels):
            turns.append((seen[label], row))
            seen[label] += 1
        rows = [row for _, row in sorted(turns)[:SHOWN]]
        self.shown: Tensor = held.images[rows]  # (6, 3, S, S)
        started = dict(
            names=self.names,
            images=[data_uri(one) for one in self.shown.cpu().permute(0, 2, 3, 1).numpy()],
            truth=[self.names[labels[row]] for row in rows],
            train_images=self.data.sizes["train"],
            epochs=self.recipe.epochs,
        )
        self.say(phase="training", started=started, text="")

    def check(self) -> None:
        """Gives way to whoever pressed stop."""
        if self.stop.is_set():
            raise Stopped

    def _on_read(self, done: int, count: int) -> None:
        self.check()
        if self._due():
            self.say(text=f"{done:,} of {count:,} images read")

    def _on_step(self, report: training.StepReport) -> None:
        self._step = report
        total = report.loss * report.step  # the report's loss is the epoch's mean so far
        loss = total - (self._sum if report.step > 1 else 0.0)
        self._sum = total
        self._done = self.trainer.epochs_done + report.step / report.steps
        self.say(losses=(self._done, loss), speed=report.images_per_second)
        self.check()
        if self._due():
            self._answer()
        if time.monotonic() > self._end:
            self.say(limited=True)
            raise Stopped

    def _answer(self) -> None:
        """Reports what the network says to the pictures by now."""
        shares = self._logits(self.shown).softmax(dim=1)  # (6, C)
        top = shares.topk(min(3, len(self.names)), dim=1)
        answers = [
            [[self.names[i], share] for i, share in zip(classes, row, strict=True)]
            for classes, row in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]
        self.say(answers=answers)

    def _validate(self) -> None:
        """Reports what becomes of the images held back, and keeps the epoch's numbers."""
        held = self.data.validation
        assert held is not None
        every = -(-len(held) // MOST_VALIDATED)  # spread, for datasets that lie sorted by class
        logits, labels = self._logits(held.images[::every]), held.labels[::every].cpu()
        found, classes = logits.argmax(1), len(self.names)  # (n,)
        accuracy = (found == labels).double().mean().item()
        counts = (labels * classes + found).bincount(minlength=classes**2).view(classes, -1)
        confusions = counts.tolist() if classes <= MOST_CLASSES else ()
        self.say(accuracies=(self._done, accuracy), confusions=confusions)
        row = {
            # Whole ones, but for the last of a training that was stopped.
            "epoch": round(self._done, 2) if self._done % 1 else int(self._done),
            "train_loss": self._step.loss,
            "validation_loss": F.cross_entropy(logits, labels).item(),
            "validation_accuracy": accuracy,
            "learning_rate": self._step.learning_rate,
            "seconds": time.perf_counter() - self._began,
            "images_per_second": self._step.images_per_second,
        }
        self._began = time.perf_counter()
        self._history.append(row)

    def _logits(self, images: Tensor) -> Tensor:
        return predict_logits(self.trainer.ema_or_model, images)

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._last_report < PATIENCE:
            return False
        self._last_report = now
        return True

    def say(self, **values: Any) -> None:
        """Reports new values of fields."""
        print(json.dumps(values), file=self._out, flush=True)


def main() -> None:
    """Trains as the request on the command line says."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not mix with the reports
    job = TrainingJob(float(sys.argv[1]), options.parse(sys.argv[2:]), out)
    _end_with(job)
    if hasattr(os, "nice"):
        os.nice(19)  # whoever classifies comes first
    use_all_cores()
    keep_memory()
    training.CHECK_EVERY = 1  # somebody is watching
    try:
        job.run()
    except Stopped:
        job.say(phase="stopped")
    except CifarnetError as error:
        job.say(phase="failed", text=str(error))
    except Exception as error:
        text = f"The training broke off ({type(error).__name__}: {error})."
        job.say(phase="failed", text=text)
        raise
    os._exit(0)  # a thread still waits for the end of stdin


def _end_with(job: TrainingJob) -> None:
    """Has signals stop the job, and the app's end end the process."""

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    def stop(*_: object) -> None:
        job.stop.set()
        late = threading.Timer(GRACE, os._exit, [1])
        late.daemon = True
        late.start()

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the app's, whose end is heard of


if __name__ == "__main__":
    main()
