"""One progress bar for a whole run, whose time left knows that early epochs are cheaper."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
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
        done: Epochs that are done: work done earlier says nothing about this machine.
        show: False keeps quiet (processes other than the first).
    """

    def __init__(self, recipe: Recipe, steps: int, image_size: int, done: int, show: bool) -> None:
        self.steps, self.first, self.show = steps, done * steps, show
        every = steps * recipe.epochs
        sizes = (recipe.size_at(step, every, image_size) for step in range(every))
        pixels = np.fromiter(sizes, np.int64, every) ** 2  # (every,): of an image in each step
        self.until = np.append(0, pixels.cumsum())  # (every + 1,): before each step, and at the end
        self.bar = tqdm(
            total=int(self.until[-1]),
            initial=int(self.until[self.first]),
            disable=not show,
            file=sys.stderr,
            smoothing=0.05,
            mininterval=0.5,
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}% {bar} {elapsed}, left {remaining}{postfix}",
        )

    def update(self, report: StepReport) -> None:
        """Moves on to the step that the report tells of."""
        self.bar.set_postfix_str(
            f"{report.images_per_second:,.0f} images/s, loss {report.loss:.3f}, "
            f"lr {report.learning_rate:.3g}",
            refresh=False,
        )
        self.bar.update(int(self.until[self.first + report.step]) - self.bar.n)
        if report.step == self.steps:  # reports of the next epoch count from 0 again
            self.first += self.steps

    def line(self, text: str) -> None:
        """Prints a line above the bar."""
        if self.show:
            tqdm.write(text, file=sys.stdout)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self.bar.close()
