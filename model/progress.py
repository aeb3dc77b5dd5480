"""One progress bar for a whole run, whose time left knows that early epochs are cheaper."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from .recipe import Recipe
from .training import StepReport


@contextmanager
def reading_progress(show: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar for reading a dataset: call with images read and images in all."""
    with tqdm(
        disable=not show, unit=" images", unit_scale=True, leave=False, delay=1, mininterval=0.5
    ) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update


class RunProgress:
    """Shows images a second, loss, learning rate and the time left.

    A step's cost grows with the pixels it works on, so the bar counts pixels, not steps.

    Args:
        recipe: What will run.
        steps: Steps of an epoch.
        image_size: Side of the images in pixels.
        show: False keeps quiet (processes other than the first).
    """

    def __init__(self, recipe: Recipe, steps: int, image_size: int, show: bool) -> None:
        self.recipe, self.steps, self.image_size = recipe, steps, image_size
        self.show = show
        self.bar = tqdm(
            total=sum(self._work(step) for step in range(steps * recipe.epochs)),
            disable=not show,
            file=sys.stderr,
            smoothing=0.05,
            mininterval=0.5,
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}% {bar} {elapsed}, left {remaining}{postfix}",
        )
        self.epoch = self.done = 0

    def _work(self, step: int) -> int:
        return self.recipe.size_at(step, self.steps * self.recipe.epochs, self.image_size) ** 2

    def start(self, epoch: int) -> None:
        """Jumps to the beginning of an epoch, counted from 0."""
        self.epoch, self.done = epoch, 0
        before = sum(self._work(step) for step in range(epoch * self.steps))
        if self.bar.n < before:  # resumed: work done earlier says nothing about this machine
            self.bar.initial = before - self.bar.n
            self.bar.n = before

    def update(self, report: StepReport) -> None:
        """Moves on to the step that the report tells of."""
        first = self.epoch * self.steps
        work = sum(self._work(step) for step in range(first + self.done, first + report.step))
        self.done = report.step
        self.bar.set_postfix_str(
            f"{report.images_per_second:,.0f} images/s, loss {report.loss:.3f}, "
            f"lr {report.learning_rate:.3g}",
            refresh=False,
        )
        self.bar.update(work)

    def line(self, text: str) -> None:
        """Prints a line above the bar."""
        if self.show:
            tqdm.write(text, file=sys.stdout)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self.bar.close()
