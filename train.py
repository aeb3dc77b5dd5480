"""Trains an image classifier: `accelerate launch train.py` (see --help and README.md)."""

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from model import options
from model.utils.errors import exit_on_error

if __name__ == "__main__":  # --help and mistakes need not wait for the libraries below
    with exit_on_error():
        options.parse()
        for needed in ("timm", "accelerate", "datasets", "evaluate", "matplotlib"):
            import_module(needed)  # a missing one is told

import timm
import torch
import torch.distributed as dist
import torch.nn.functional as F
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list, gather_object, parse_flag_from_env

import model  # noqa: F401  (registers the networks)
from model import advice, checkpoint, hub
from model.build import build_trainer, new_network
from model.check import check_data
from model.data import (
    ImageDataset,
    TrainingData,
    describe,
    load_training_data,
    open_for_training,
)
from model.evaluation import finish
from model.hub import push
from model.hub.config import check_label_names
from model.inference.logits import predict_logits
from model.options import Options
from model.progress import RunProgress, reading_progress
from model.recipe import OURS, DataOptions, Recipe
from model.training import EpochReport, Trainer
from model.utils import files, folder
from model.utils.device import (
    repeat_bit_for_bit,
    resolve_mixed_precision,
    use_all_cores,
)
from model.utils.errors import (
    CifarnetError,
    ConfigError,
    DataError,
    HubError,
    TrainingError,
)
from model.utils.machine import machine, peak_memory_mib
from model.utils.memory import keep_memory


class Run:
    """One training run: its data, its trainer, its folder and what happened so far."""

    def __init__(self, asked: Options) -> None:
        """Reads the data, builds the network and, on resume, takes up its state.

        Raises:
            CifarnetError: If data, options or checkpoint cannot be used.
        """
        # Who else trains is known before anything is read, so that mistakes are told once.
        state = _processes()
        self.main = state.is_main_process
        tensors, values = checkpoint.load_checkpoint(asked.resume) if asked.resume else ({}, {})
        if asked.deterministic:
            repeat_bit_for_bit()
        # Before anything computes: accelerate leaves one thread, glibc gives freed memory back.
        self.threads = use_all_cores(asked.threads or values.get("threads"))
        keep_memory()
        dataset, recipe, self.options = self._plan(asked, values)
        # "auto" is decided once: after a break on another machine, numbers are still of one kind.
        precision = resolve_mixed_precision(recipe.mixed_precision, state.device)
        self.recipe = dataclasses.replace(recipe, mixed_precision=precision)
        self.directory = asked.output
        self.repo_id = asked.push_to_hub
        self.accelerator = self._accelerator(asked.track)
        self.history: list[dict[str, Any]] = values.get("history", [])
        self.saved_epochs, self.saved_at = len(self.history), 0.0
        self.seconds: float = values.get("seconds", 0.0)
        self.peak_before: float = values.get("peak_memory_mib") or 0.0
        self.machine: dict[str, Any] = values.get("machine", {})
        if values.get("processes", state.num_processes) != state.num_processes:
            self.say(
                f"This run goes on with another number of processes ({state.num_processes}, not "
                f"{values['processes']}): it will end at other weights than without the break."
            )
        self.bad_before = set(values.get("bad_images", []))
        if not (values or self.options.init_from or self.recipe.network in OURS):
            # One that cannot be trained on such images, or not be saved, is refused before they
            # are read.
            tried = new_network(self.recipe, len(dataset.label_names), self.options.image_size)
            hub.pretrained.config_of(tried)
        self.data = self._read_data(dataset, asked.cache_limit)
        # What was decided on the way is part of the recipe that is saved: whoever repeats the run
        # on another machine decides the same.
        self.recipe = dataclasses.replace(self.recipe, val_size=self.data.val_size)
        # Other images under the same name would make a resumed or repeated run a lie.
        self.fingerprint = dataset.splits["train"].fingerprint
        began_with = values["fingerprint"] if values else self.options.fingerprint
        if began_with and began_with != self.fingerprint:
            raise DataError(
                f"The dataset {self.options.name} is not the one this run began with: its "
                "fingerprint differs. Restore it, or name another with --dataset in a new run."
            )
        self.options = dataclasses.replace(
            self.options, cached=self.data.cached, fingerprint=self.fingerprint
        )
        self.trainer = self._build(asked.compile, tensors, values)

    def _plan(
        self, asked: Options, values: dict[str, Any]
    ) -> tuple[ImageDataset, Recipe, DataOptions]:
        """Opens the dataset, and decides what is done with as many images as it has."""
        recipe, data = asked.recipe, asked.data
        if values:  # a run that is taken up does what it began with, whatever defaults are today
            recipe, data = Recipe.from_dict(values["recipe"]), DataOptions(**values["data"])
            bad = max(data.max_bad_images, asked.data.max_bad_images)
            data = dataclasses.replace(data, max_bad_images=bad)
        self.say(f"Reading {data.name} ...")
        dataset = open_for_training(data)
        images = len(dataset.labels("train"))
        if not values:
            recipe, data = asked.plan_for(images)
            if recipe.name != asked.recipe.name:
                self.say(f"{images:,} images are few: the recipe is {recipe.name} (see --recipe).")
        return dataset, recipe, data

    def _build(self, compiled: bool, tensors: dict[str, Any], values: dict[str, Any]) -> Trainer:
        """The trainer, which begins with new or saved weights, or takes up a checkpoint."""
        recipe = self.recipe
        begin: Any = None
        if values:  # the checkpoint has all weights: none need be fetched or made
            classes = len(self.data.dataset.label_names)
            begin = timm.create_model(recipe.network, num_classes=classes, **values["model_args"])
        elif self.options.init_from:
            begin = hub.from_pretrained(self.options.init_from)
        trainer = build_trainer(recipe, self.data, self.accelerator, begin=begin, compiled=compiled)
        self.model_args = hub.pretrained.config_of(trainer.network)["model_args"]
        if values:
            trainer.load_state(tensors, values["trainer"])
        return trainer

    def say(self, text: str) -> None:
        """Prints a line, once over all processes."""
        if self.main:
            print(text, flush=True)

    def _accelerator(self, track: str | None) -> Accelerator:
        try:
            accelerator = Accelerator(
                mixed_precision=self.recipe.mixed_precision,
                log_with=track,
                project_dir=self.directory,
            )
        except ValueError as error:
            raise ConfigError(f"This run cannot be set up: {error}") from None
        if track and not accelerator.log_with:  # accelerate leaves it out without a word
            raise ConfigError(f"--track {track} needs a package: pip install {track}")
        return accelerator

    def _read_data(self, dataset: ImageDataset, cache_limit: float) -> TrainingData:
        began = time.perf_counter()
        with reading_progress(self.main) as progress:  # every process reads: none waits for another
            data = load_training_data(
                dataset,
                self.options,
                self.recipe,
                cache_limit=cache_limit,
                device=self.accelerator.device,
                rank=self.accelerator.process_index,
                world_size=self.accelerator.num_processes,
                progress=progress,
            )
        test = dataset.splits["test"]
        check_label_names(dataset.label_names)  # which saving would refuse, hours from now
        # What was understood is told before it is trained on: a wrong guess shows here.
        for sentence in describe(dataset):
            self.say(sentence)
        if data.outliers is not None:
            self.say(
                f"{len(data.outliers):,} pictures of something else from {self.options.outliers}"
            )
        held = "decoded once" if data.cached else "streamed in every epoch"
        own = " (the dataset's own)" if "validation" in dataset.splits else ""
        self.say(
            f"{data.sizes['train']:,} images to train on, {held}; {data.sizes['validation']:,} for "
            f"validation{own}; {len(test.labels):,} to test on "
            f"({time.perf_counter() - began:.1f} s)"
        )
        if self.main:
            # Decoded only to find files that cannot be read: one must not end a day's work.
            for _ in test.iter_batches(None, finish.PIECE):
                pass
            if len(test.bad) == len(test.labels):
                raise DataError("No test image can be decoded; repair them, or name others.")
            if test.bad:
                print(f"{len(test.bad):,} test images cannot be decoded and are left out.")
        return data

    @property
    def bad_images(self) -> list[int]:
        """Rows of the training split that were left out because they cannot be decoded."""
        return sorted(self.bad_before | self.data.dataset.splits["train"].bad)

    @property
    def peak_memory_mib(self) -> float | None:
        """Of this process, and of those that trained earlier epochs; None where unknown."""
        now = peak_memory_mib()
        return None if now is None else max(now, self.peak_before)

    def train(self) -> None:
        """Runs the epochs that are left, with a checkpoint after each, or now and then on a GPU."""
        # Trackers take numbers and text only.
        plain = self.recipe.to_dict() | {"resolution": str(self.recipe.resolution)}
        self.accelerator.init_trackers("cifarnet", config=plain)
        if self.main:
            # A checkpoint is written beside the last one; weights and figures take less than it.
            tensors = self.trainer.state()[0].values()
            folder.check_space(self.directory, 3 * sum(tensor.nbytes for tensor in tensors))
        if self.trainer.epochs_done < self.recipe.epochs:  # else that of the checkpoint trained
            self.machine = machine(self.accelerator.device)
        if not self.trainer.epochs_done:
            self.save()  # from here on the run can be resumed
        if self.trainer.epochs_done == self.recipe.epochs:
            return self.say("All epochs are done; evaluating and saving.")
        self.say(
            f"Training {self.recipe.network} in {self.directory} on {self.accelerator.device} "
            f"(processes: {self.accelerator.num_processes}, precision: "
            f"{self.recipe.mixed_precision}, epochs: {self.recipe.epochs}, steps in each: "
            f"{self.data.loader.steps})"
        )
        progress = RunProgress(
            self.recipe,
            self.data.loader.steps,
            self.options.image_size,
            self.trainer.epochs_done,
            self.main,
        )
        try:
            while self.trainer.epochs_done < self.recipe.epochs:
                began = time.perf_counter()
                report = self.trainer.train_epoch(progress.update)
                # Validation is only reported, it chooses nothing; calibration uses its images.
                saving = self._time_to_save()
                checked = self._validate() if saving else (None, None)
                row = self._row(report, *checked, time.perf_counter() - began)
                # Before saving, so that a checkpoint knows the epoch whose weights it holds.
                self.history.append(row)
                self.seconds += row["seconds"]
                if saving:
                    self.save()
                progress.line(_line(row, self.recipe.epochs))
                self.accelerator.log({k: v for k, v in row.items() if v is not None}, row["epoch"])
        finally:
            progress.close()

    def _time_to_save(self) -> bool:
        """Whether to validate and save after this epoch: a GPU's can be shorter than either.

        The first process's clock decides for all: they validate together or not at all.
        """
        waited = time.monotonic() - self.saved_at >= self.trainer.plan.save_every
        saving = [waited or self.trainer.epochs_done == self.recipe.epochs]
        return broadcast_object_list(saving)[0]

    def _validate(self) -> tuple[float | None, float | None]:
        """Loss and accuracy on the validation images, which the processes share."""
        split = self.data.validation
        if split is None:  # a recipe may train on all images: then nothing is claimed of others
            return None, None
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        if world > 1:  # normalisation statistics are each process's own; the first one's are saved
            for buffer in self.trainer.ema_or_model.buffers():
                dist.broadcast(buffer, 0)
        logits = predict_logits(self.trainer.ema_or_model, split.images[rank::world])
        # Logits, not means: parts differ by an image, and a mean of means would not be the mean.
        parts = gather_object([(logits, split.labels[rank::world].cpu())])  # one a process
        logits, labels = map(torch.cat, zip(*parts, strict=True))  # (N, C), (N,)
        accuracy = (logits.argmax(1) == labels).double().mean().item()
        return F.cross_entropy(logits, labels).item(), accuracy

    def _row(
        self, report: EpochReport, loss: float | None, accuracy: float | None, seconds: float
    ) -> dict[str, Any]:
        return {
            "epoch": self.trainer.epochs_done,
            "train_loss": report.loss,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "learning_rate": report.learning_rate,
            "seconds": seconds,
            "images_per_second": report.images / report.seconds,
        }

    def save(self) -> None:
        """Writes checkpoint and log, each in one step; only the first process does."""
        if self.main:
            tensors, values = self.trainer.state()
            self.directory.mkdir(parents=True, exist_ok=True)
            values = {
                "trainer": values,
                "model_args": self.model_args,
                "recipe": self.recipe.to_dict(),
                "data": dataclasses.asdict(self.options),
                "fingerprint": self.fingerprint,
                "history": self.history,
                "threads": self.threads,
            } | self._happened()
            checkpoint.save_checkpoint(self.directory, tensors, values)
            self._write_log()  # last: of the two, a log may be a row behind
        self.saved_epochs, self.saved_at = len(self.history), time.monotonic()
        self.accelerator.wait_for_everyone()  # whoever is late would time out in the next step

    def _happened(self) -> dict[str, Any]:
        """What checkpoint and results.json tell of the run so far, beside its epochs."""
        return {
            "seconds": self.seconds,
            "peak_memory_mib": self.peak_memory_mib,
            "machine": self.machine,
            "processes": self.accelerator.num_processes,
            "bad_images": self.bad_images,
        }

    def _write_log(self) -> None:
        log = "".join(json.dumps(row) + "\n" for row in self.history)
        files.write_text(self.directory / "log.jsonl", log)

    def finish(self) -> None:
        """Shows the network the test split, for the first time; saves model, results and card."""
        if self.main:
            self._write_log()  # a run killed in its last save has a log one row short
            network = self.trainer.ema_or_model  # of a run without an average, the network itself
            trained = self._happened() | {"epochs": self.history}
            results = finish.measure_and_save(
                network,
                self.directory,
                self.data,
                self.options,
                self.recipe,
                self.accelerator.device,
                trained,
            )
            print(f"\n{finish.summary(results)}\n\nSaved in {self.directory}")
            print(advice.what_next(self.directory), flush=True)
            if self.repo_id:
                print(f"Sent to {push.push_run(self.directory, self.repo_id).url}")
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()  # closes trackers and process groups


def _line(row: dict[str, Any], epochs: int) -> str:
    text = f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}  train loss {row['train_loss']:.4f}"
    if row["validation_loss"] is not None:
        text += f"  validation loss {row['validation_loss']:.4f}"
        text += f"  accuracy {row['validation_accuracy']:.2%}"
    return f"{text}  {row['seconds']:.1f} s"


def _hint(run: Run | None, resumed: Path | None) -> str:
    """How to go on with an interrupted run."""
    if run is None:
        return advice.how_to_go_on(resumed)
    return advice.how_to_go_on(run.directory, run.saved_epochs, run.recipe.epochs)


def _processes() -> PartialState:
    """This process among those that train together."""
    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
    started = os.environ.get("WORLD_SIZE", "1")
    if started != str(state.num_processes):
        raise TrainingError(
            f"{started} processes were started, but each would train alone. On a CPU, start them "
            f"by: ACCELERATE_USE_CPU=true torchrun --nproc_per_node {started} train.py"
        )
    return state


def _hold(asked: Options) -> AbstractContextManager[None]:
    """The run's folder, held by the first process; what may fail does so before training."""
    if os.environ.get("RANK", "0") != "0":
        return nullcontext()
    if asked.push_to_hub:
        push.check_token(asked.push_to_hub)
    return folder.claim(asked.output, resume=bool(asked.resume))


def main(arguments: list[str] | None = None) -> None:
    """Trains as the command line asks; every error a user can cause is one message."""
    run = None
    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends a run as Ctrl-C does
    with exit_on_error():
        asked = options.parse(arguments)
        if asked.check_data:
            dataset = open_for_training(asked.data)
            recipe, _ = asked.plan_for(len(dataset.labels("train")))
            report, problem = check_data(dataset, recipe)
            print(f"{report}\n", flush=True)
            if problem:
                raise DataError(problem)
            print(f"This dataset can be trained on; the recipe would be {recipe.name}.")
            return
        try:
            with _hold(asked):  # two runs in one folder would overwrite each other's files
                run = Run(asked)
                run.train()
                run.finish()
        except KeyboardInterrupt:
            print(f"\nStopped. {_hint(run, asked.resume)}", file=sys.stderr)
            raise SystemExit(130) from None  # what shells know as ended by Ctrl-C
        except (MemoryError, RuntimeError) as error:
            # Memory that ran out, another process that ended: torch says it in its own way.
            known = advice.understood(error)
            if known is None:
                raise
            print(_hint(run, asked.resume), file=sys.stderr)
            raise known from None
        except (CifarnetError, OSError) as error:
            if run and not isinstance(error, HubError):  # after one of those, the model is saved
                print(_hint(run, asked.resume), file=sys.stderr)
            raise error


if __name__ == "__main__":
    main()
