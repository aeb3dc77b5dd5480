"""The tab "Watch it learn": a training that a visitor starts, watches, stops and then uses."""

from collections.abc import Sequence
from html import escape

import gradio as gr

from model.data import SYNTHETIC
from model.recipe import RECIPES
from model.utils.errors import CifarnetError
from web import charts
from web.charts import Series, percent
from web.site import QUIET, Site, enclosing_tab, html
from web.trainings import State, TrainingRequest, Trainings

EVERY = 1.0  # seconds between looks at a running training
SUITS = {SYNTHETIC: "tiny"}  # recipe for a dataset; others get the fast one
INTRO = (
    "Train a network from nothing and watch. One training runs at a time, for everybody who has "
    "this page open; it takes an hour at most. The network that comes out can be used on the "
    "other tabs, until the next one replaces it. The recipe named tiny is for a few thousand "
    "pictures, flash is fast; default, long, robust and release take longer and reach more."
)


def tab(site: Site) -> None:
    """Fills the tab; the site's dataset is offered beside the generated pictures."""
    trainings = Trainings(site.dataset, site.models.register)
    html(f"<p>{escape(INTRO)}</p>", styles="charts.css")
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
            min_width=260,
        )
    with gr.Row():
        start = gr.Button(
            "Start training", variant="primary", min_width=160, elem_id="start-training"
        )
        stop = gr.Button("Stop and keep", interactive=False, min_width=160, elem_id="stop-training")
    shown = html(view(State()), "training-view", styles="charts.css learn.css")
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
            trainings.start(TrainingRequest(network, recipe, dataset))
        except CifarnetError as error:
            raise gr.Error(str(error), title="Not started", print_exception=False) from None
        return look()

    def end() -> tuple[object, ...]:
        trainings.stop()
        return look()

    data.input(lambda name: SUITS.get(name, "flash"), data, recipe, **QUIET)
    start.click(begin, [data, network, recipe], outputs, **QUIET)
    stop.click(end, None, outputs, **QUIET)
    # A page that is opened or shown again picks up a training that is already on its way.
    for event in (clock.tick, enclosing_tab().select):
        event(look, None, outputs, trigger_mode="once", **QUIET)


def view(state: State) -> str:
    """A training as it stands: a sentence, curves, and six pictures with what they are called.

    All of it has its place before there is anything to show, so that nothing moves.
    """
    share = state.epochs_done / (state.started.get("epochs") or 1)
    return (
        f'<div class="status"><p role="status">{escape(sentence(state))}</p>'
        f'<progress max="1" value="{share:.3f}" aria-label="Training"></progress>'
        f'<p class="note">{escape(_pace(state))}&nbsp;</p></div>'
        f'<div class="grid"><div>{_curves(state)}</div><div>{_six(state)}</div></div>'
    )


def sentence(state: State) -> str:
    """What is going on, for everybody; changes a few times an epoch at most."""
    done, epochs = state.epochs_done, state.started.get("epochs", 0)
    right = percent(state.accuracies[-1][1]) if state.accuracies else "nothing"
    why = " by the time limit" if state.limited else ""
    early = f" Stopped{why} after {done:.1f} of {epochs} epochs." if done < epochs else ""
    return {
        "idle": "Nothing has been trained yet.",
        "reading": f"Reading the pictures for {state.request} …",
        "training": f"Training {state.request}: {int(done)} of {epochs} epochs done"
        + (f", {right} right." if state.accuracies else "."),
        "stopping": "Stopping after the current step; what is learned so far will be kept …",
        "saving": "Saving …",
        "done": f"{state.request}: {right} of new pictures named correctly.{early} "
        f"It is ready on the Classify tab as “{state.text}”.",
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
    wait = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    return f"{state.speed:,.0f} images a second, about {wait} left"


def _curves(state: State) -> str:
    every = -(-len(state.losses) // 300) or 1  # points that a phone's width can tell apart
    epochs = float(state.started.get("epochs", 10))
    high = max([2.5, *(value for _, value in state.losses)])
    right = Series("accuracy on images held back", "good", state.accuracies)
    loss = Series("loss on training images", "bad", state.losses[::every], dots=False)
    reached = f", last {percent(right.points[-1][1])}" if right.points else ""
    last = f", last {state.losses[-1][1]:.2f}" if loss.points else ""
    return (
        charts.legend([right])
        + charts.curves(
            [right], label=f"Accuracy by epoch{reached}", x="epoch", share=True, within=(epochs, 1)
        )
        + charts.legend([loss])
        + charts.curves(
            [loss], label=f"Training loss by epoch{last}", x="epoch", within=(epochs, high)
        )
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
    head = "<h3>What it says to six pictures</h3>"
    return f'{head}<ul class="pictures six">{"".join(items)}</ul>'


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


def _described(name: str) -> str:
    return "ten drawn shapes (synthetic)" if name == SYNTHETIC else name
