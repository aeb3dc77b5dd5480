"""The tab "Watch it learn": a training that a visitor starts, watches, stops and then uses."""

import time
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from model.data import SYNTHETIC
from model.recipe import RECIPES
from model.utils.errors import CifarnetError
from web import charts
from web.block import block
from web.charts import Series, percent
from web.site import Site
from web.trainings import Job, State, Trainings

EVERY = 1.0  # seconds between looks at a running training
SUITS = {SYNTHETIC: "tiny"}  # recipe for a dataset; others get the fast one
CSS = (Path(__file__).parent / "learn.css").read_text(encoding="utf-8")
INTRO = (
    "Train a network from nothing and watch. One training runs at a time, for everybody who has "
    "this page open; it takes an hour at most. The network that comes out can be used on the "
    "other tabs, until the next one replaces it."
)
RECIPE_HELP = (
    "tiny: for a few thousand pictures. flash: fast. default, long, release: better, longer."
)

# A page that is opened or shown again picks up a training that is already on its way.
WHEN_SHOWN = """
new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) trigger("shown");
}).observe(element);
"""


def tab(site: Site) -> None:
    """Fills the tab; the site's dataset is offered beside the generated pictures."""
    trainings = Trainings(site.dataset, site.models.register)
    block(f"<p>{escape(INTRO)}</p>")
    offered = list(trainings.datasets)
    with gr.Row():
        data = gr.Radio(
            [(_described(name), name) for name in offered],
            value=offered[-1],
            label="Pictures",
            min_width=260,
        )
        network = gr.Dropdown(
            trainings.networks, value="cifarnet_nano", label="Network", min_width=220
        )
        recipe = gr.Dropdown(
            [(f"{name} ({one.epochs} epochs)", name) for name, one in RECIPES.items()],
            value=SUITS.get(offered[-1], "flash"),
            label="Recipe",
            info=RECIPE_HELP,
            min_width=260,
        )
    with gr.Row():
        start = gr.Button(
            "Start training", variant="primary", min_width=160, elem_id="start-training"
        )
        stop = gr.Button("Stop and keep", interactive=False, min_width=160, elem_id="stop-training")
    shown = block(view(State()), css_template=CSS, js_on_load=WHEN_SHOWN, elem_id="training-view")
    clock = gr.Timer(EVERY, active=False)
    outputs = [shown, start, stop, clock]

    def look() -> tuple[object, ...]:
        state = trainings.state
        return (
            view(state),
            gr.Button(interactive=not state.running),
            gr.Button(interactive=state.phase in ("reading", "training")),
            gr.Timer(active=state.running),
        )

    def begin(dataset: str, network: str, recipe: str) -> tuple[object, ...]:
        try:
            trainings.start(Job(network, recipe, dataset))
        except CifarnetError as error:
            raise gr.Error(str(error), title="Not started", print_exception=False) from None
        return look()

    def end() -> tuple[object, ...]:
        trainings.stop()
        return look()

    quiet: dict[str, Any] = dict(show_progress="hidden", api_visibility="private")
    data.input(lambda name: SUITS.get(name, "flash"), data, recipe, **quiet)
    start.click(begin, [data, network, recipe], outputs, **quiet)
    stop.click(end, None, outputs, **quiet)
    for event in (clock.tick, shown.shown):
        event(look, None, outputs, trigger_mode="once", **quiet)


def view(state: State) -> str:
    """A training as it stands: a sentence, curves, and six pictures with what they are called.

    All of it has its place before there is anything to show, so that nothing moves.
    """
    return (
        f'<div class="status"><p role="status">{escape(sentence(state))}</p>{_bar(state)}'
        f'<p class="note">{escape(_pace(state))}&nbsp;</p></div>'
        f'<div class="grid"><div>{_curves(state)}</div><div>{_six(state)}</div></div>'
    )


def sentence(state: State) -> str:
    """What is going on, for everybody; changes a few times an epoch at most."""
    job = state.job
    if job is None:
        return "Nothing has been trained yet."
    what = f"{job.network} on {job.dataset}"
    if state.phase == "training":
        done, epochs = int(state.epochs_done), state.started["epochs"]
        reached = f", {percent(state.accuracies[-1][1])} right" if state.accuracies else ""
        return f"Training {what}: {done} of {epochs} epochs done{reached}."
    if state.phase == "done":
        early = ""
        if state.epochs_done < state.started["epochs"]:
            why = " by the time limit" if state.limited else ""
            early = (
                f" Stopped{why} after {state.epochs_done:.1f} of {state.started['epochs']} epochs."
            )
        right = percent(state.accuracies[-1][1]) if state.accuracies else "nothing"
        return (
            f"{what}: {right} of new pictures named correctly.{early} "
            f"It is ready on the Classify tab as “{state.text}”."
        )
    return {
        "reading": f"Reading the pictures for {what} …",
        "stopping": "Stopping after the current step; what is learned so far will be kept …",
        "saving": "Saving …",
        "stopped": "Stopped before there was anything to keep.",
        "failed": f"Not finished. {state.text}",
    }[state.phase]


def _bar(state: State) -> str:
    epochs = state.started.get("epochs") or 1
    share = min(state.epochs_done / epochs, 1)
    return (
        f'<div class="bar" role="progressbar" aria-label="Training" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{share * 100:.0f}">'
        f'<i style="width: {share * 100:.1f}%"></i></div>'
    )


def _pace(state: State) -> str:
    """Speed and the time that is left."""
    if state.phase == "reading":
        return state.text
    if state.phase != "training" or not state.losses:
        return ""
    left = (state.started["epochs"] - state.epochs_done) / state.epochs_done
    seconds = left * (time.monotonic() - state.since)
    wait = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    return f"{state.speed:,.0f} images a second, about {wait} left"


def _curves(state: State) -> str:
    every = -(-len(state.losses) // 300) or 1  # points that a phone's width can tell apart
    loss = Series("loss on training images", "bad", state.losses[::every], dots=False)
    right = Series("accuracy on images held back", "good", state.accuracies)
    epochs = float(state.started.get("epochs", 10))
    high = max([2.5, *(value for _, value in state.losses)])
    last = f", last {state.losses[-1][1]:.2f}" if state.losses else ""
    reached = f", last {percent(state.accuracies[-1][1])}" if state.accuracies else ""
    return (
        charts.legend([right])
        + charts.curves(
            [right],
            label=f"Accuracy by epoch{reached}",
            x="epoch",
            share=True,
            within=(epochs, 1.0),
        )
        + charts.legend([loss])
        + charts.curves(
            [loss], label=f"Training loss by epoch{last}", x="epoch", within=(epochs, high)
        )
    )


def _six(state: State) -> str:
    """Six pictures it does not learn from, and the three names it finds most probable."""
    items = []
    for i in range(6):
        truth = state.started.get("truth", [])
        if i >= len(truth):
            if not truth:
                items.append(
                    '<li><span class="blank"></span><b>&nbsp;</b>' + _names((), "") + "</li>"
                )
            continue
        answers = state.answers[i] if state.answers else ()
        image = f'<img src="{state.started["images"][i]}" alt="Picture of {escape(truth[i])}">'
        items.append(f"<li>{image}<b>{escape(truth[i])}</b>{_names(answers, truth[i])}</li>")
    head = "<h3>What it says to six pictures</h3>"
    return f'{head}<ul class="pictures six">{"".join(items)}</ul>'


def _names(answers: object, truth: str) -> str:
    """Bars of the most probable names; the right one is marked by more than its colour."""
    rows = list(answers)[:3] if isinstance(answers, list | tuple) else []
    rows += [["", 0.0]] * (3 - len(rows))
    bars = "".join(
        f'<span class="said{" good" if name and name == truth else ""}">'
        f'<i style="width: {share * 100:.0f}%"></i>'
        f"<span>{escape(name)}{' ✓' if name and name == truth else ''}&nbsp;</span>"
        f"<span>{percent(share, 0) if name else ''}</span></span>"
        for name, share in rows
    )
    return bars


def _described(name: str) -> str:
    return "ten drawn shapes (synthetic)" if name == SYNTHETIC else name
