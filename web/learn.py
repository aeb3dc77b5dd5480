"""A training as it stands, to be watched: curves, answers that change, what is confused."""

from collections.abc import Sequence
from html import escape

import numpy as np

from web import charts, matrix
from web.charts import Series, percent
from web.trainings import State


def view(state: State, ahead: int = 0, tested: str = "") -> str:
    """A sentence, curves, six pictures with what they are called, and the confusion matrix.

    Once a training is on its way, all of it has its place, so that nothing moves.

    Args:
        state: Of the training.
        ahead: How many trainings come before it.
        tested: What came out on pictures that it never saw, once it is done.
    """
    if state.phase == "idle":
        return ""
    share = state.epochs_done / (state.started.get("epochs") or 1)
    return (
        f'<div class="status"><p role="status">{escape(sentence(state, ahead, tested))}</p>'
        f'<progress max="1" value="{share:.3f}" aria-label="Training"></progress>'
        f'<p class="note">{escape(_pace(state))}&nbsp;</p></div>'
        f'<div class="grid"><div>{_curves(state)}</div><div>{_six(state)}{_confused(state)}</div>'
        "</div>"
    )


def sentence(state: State, ahead: int = 0, tested: str = "") -> str:
    """What is going on, for everybody; changes a few times an epoch at most."""
    done, epochs = state.epochs_done, state.started.get("epochs", 0)
    right = percent(state.accuracies[-1][1]) if state.accuracies else ""
    why = " by the time limit" if state.limited else ""
    early = f" Stopped{why} after {done:.1f} of {epochs} epochs." if done < epochs else ""
    queue = f"{ahead} other trainings go first" if ahead > 1 else "Another training goes first"
    return {
        "idle": "",
        "waiting": f"{queue}: you are number {ahead + 1} in the queue. Yours begins by itself.",
        "reading": f"Reading {state.title} …",
        "training": f"Learning {state.title}: {int(done)} of {epochs} rounds done"
        + (f", {right} of pictures held back named rightly." if right else "."),
        "stopping": "Stopping after the current step; what is learned so far will be kept …",
        "saving": "Looking at pictures that it never saw, and saving …",
        "done": f"Done. {tested}{early}",
        "stopped": "Stopped before there was anything to keep.",
        "failed": f"Not finished. {state.text}",
    }[state.phase]


def _pace(state: State) -> str:
    """Speed and the time that is left."""
    if state.phase == "reading":
        return state.text
    if state.phase != "training" or not state.losses:
        return ""
    left = (state.started["epochs"] - state.epochs_done) * state.started["train_images"]
    seconds = left / max(state.speed, 1e-9)
    return f"{state.speed:,.0f} images a second, about {charts.duration(seconds)} left"


def _curves(state: State) -> str:
    every = -(-len(state.losses) // 300) or 1  # points that a phone's width can tell apart
    epochs = float(state.started.get("epochs", 10))
    high = max([2.5, *(value for _, value in state.losses)])
    right = Series("accuracy on images held back", "good", state.accuracies)
    loss = Series("loss on training images", "bad", state.losses[::every], dots=False)
    return charts.by_epoch(right, share=True, within=(epochs, 1)) + charts.by_epoch(
        loss, within=(epochs, high)
    )


def _six(state: State) -> str:
    """Six pictures it does not learn from, and the three names it finds most probable."""
    truth = state.started.get("truth", ())
    items = ['<li><span class="blank"></span><b>&nbsp;</b>' + _names((), "") + "</li>"] * 6
    if truth:
        answers = state.answers or ((),) * len(truth)
        rows = zip(truth, state.started["images"], answers, strict=True)
        items = [
            f'<li><img src="{image}" alt="Picture of {escape(name)}"><b>{escape(name)}</b>'
            f"{_names(answer, name)}</li>"
            for name, image, answer in rows
        ]
    head = "<h3>What it says to pictures held back</h3>"
    return f'{head}<ul class="pictures six">{"".join(items)}</ul>'


def _confused(state: State) -> str:
    """What it takes for what, of the pictures held back."""
    names = state.started.get("names", ())
    if not state.confusions:
        many = len(names) > matrix.MOST_CLASSES
        return f'<p class="note">{"There are too many classes for a table." if many else ""}</p>'
    counts = np.array(state.confusions)  # (C, C)
    head = f'<h3 class="part">What it takes for what, of {counts.sum():,} pictures held back</h3>'
    return head + matrix.table(counts, list(names), pressed=False)


def _names(answer: Sequence[tuple[str, float]], truth: str) -> str:
    """Bars of the most probable names; the right one is marked by more than its colour."""
    rows = [*answer, *[("", 0.0)] * (3 - len(answer))]
    return "".join(
        f'<span class="said{" good" if name and name == truth else ""}">'
        f'<i style="width: {share * 100:.0f}%"></i>'
        f"<span>{escape(name)}{' ✓' if name and name == truth else ''}&nbsp;</span>"
        f"<span>{percent(share, 0) if name else ''}</span></span>"
        for name, share in rows
    )
