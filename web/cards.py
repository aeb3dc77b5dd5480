"""What the page says about a picture, as HTML: the verdict, the bars, the heat-map, the layers."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from model.inference.crops import Picture
from model.inference.prediction import Explanation, Prediction
from web import pictures
from web.charts import percent

TOP = 5
MARKS = {"confident": "✓", "unsure": "?", "none": "\N{MULTIPLICATION SIGN}"}
HELP = {
    "confident": "",
    "unsure": "Do not rely on it; the bars show what else it may be.",
    "none": "It looks unlike what the network has learned from. The bars only say what comes "
    "closest.",
}


def empty_stage(file: str) -> str:
    """The picture's place while there is none; a click opens the input of this id."""
    return (
        f'<label class="stage empty" for="{file}"><span><b>Drop a picture here</b>'
        "<span>or click to choose one, paste it, or use the camera</span></span></label>"
    )


def empty_answer() -> str:
    """The answer's place while there is nothing to say."""
    rows = "".join(_bar("\N{NO-BREAK SPACE}", None) for _ in range(TOP))
    return (
        '<section class="answer waiting"><p class="verdict">What do you see?</p>'
        '<p class="help">Choose a picture. The network says what it shows, how sure it is, and '
        f'which parts speak for it.</p><ol class="bars-top" aria-hidden="true">{rows}</ol>'
        "</section>"
    )


def problem(text: str) -> str:
    """A sentence in the answer's place."""
    return (
        '<section class="answer none"><p class="verdict"><i aria-hidden="true">!</i>That did not '
        f'work</p><p class="help">{escape(text)}</p></section>'
    )


def answer(prediction: Prediction, model: str = "") -> str:
    """The verdict in words and the most probable classes.

    Args:
        prediction: Of one model.
        model: Its name, where several are compared.
    """
    head = f'<h3 class="model">{escape(model)}</h3>' if model else ""
    sure = f"{percent(prediction.probability)} sure. " if prediction.verdict != "none" else ""
    rows = "".join(_bar(name, share) for name, share in prediction.top(TOP))
    return (
        f'<section class="answer {prediction.verdict}">{head}<p class="verdict">'
        f'<i aria-hidden="true">{MARKS[prediction.verdict]}</i>{escape(prediction.sentence)}</p>'
        f'<p class="help">{sure}{HELP[prediction.verdict]}</p>'
        f'<ol class="bars-top" aria-label="Most probable classes">{rows}</ol></section>'
    )


def answers(predictions: Mapping[str, Prediction]) -> str:
    """The answers of one or several models, by their names."""
    if len(predictions) == 1:
        return "".join(map(answer, predictions.values()))
    cards = "".join(answer(prediction, name) for name, prediction in predictions.items())
    return f'<div class="answers">{cards}</div>'


def stage(picture: Picture, explanation: Explanation | None = None) -> str:
    """The picture, over it where the evidence lies, and below it what the colours mean."""
    if explanation is None:
        return _framed(picture, None)
    return _framed(picture, explanation) + (
        f'<ul class="legend"><li><i class="for"></i>speaks for {escape(explanation.label)}</li>'
        '<li><i class="against"></i>speaks against it</li></ul>'
    )


def _framed(picture: Picture, explanation: Explanation | None) -> str:
    width, height = picture.size
    uri = pictures.photo_uri(picture.image)
    layers = f'<img class="photo" src="{uri}" alt="The chosen picture">'
    if explanation:
        left, top, right, bottom = explanation.box
        place = (
            f"left: {left / width:.2%}; top: {top / height:.2%}; "
            f"width: {(right - left) / width:.2%}; height: {(bottom - top) / height:.2%}"
        )
        words = f"Heat-map: where the picture speaks for {explanation.label}, and where against it"
        layers += (
            f'<span class="box" style="{place}"></span><img class="heat" style="{place}" '
            f'src="{pictures.heat_uri(explanation.heat)}" alt="{escape(words)}">'
        )
    small = " small" if max(picture.size) <= 4 * pictures.THUMBNAIL else ""
    frame = f'<div class="frame{small}" style="--ratio: {width / height:.4f}">'
    return f'<div class="stage">{frame}{layers}</div></div>'


def explained(explanation: Explanation | None) -> str:
    """The picture as the network gets it; None keeps its place."""
    if explanation is None:
        image, caption = '<span class="seen"></span>', "What the network gets will stand here."
    else:
        side, seen = explanation.seen.shape[0], pictures.data_uri(explanation.seen)
        image = f'<img class="seen" src="{seen}" alt="The picture as the network gets it">'
        caption = f"What the network gets: {side} by {side} pixels."
    return f'<figure class="explained">{image}<figcaption>{caption}</figcaption></figure>'


def comparison(picture: Picture, found: Mapping[str, Explanation | None]) -> str:
    """Heat-maps of several models side by side; None: the model does not know the class."""
    parts = []
    for name, explanation in found.items():
        unknown = '<div class="stage">no such class</div>'
        shown = _framed(picture, explanation) if explanation else unknown
        parts.append(f"<figure>{shown}<figcaption>{escape(name)}</figcaption></figure>")
    return f'<div class="comparison">{"".join(parts)}</div>'


def layers(stages: Sequence[np.ndarray]) -> str:
    """The feature maps of each stage; none at all keep their place."""
    if not stages:
        return '<p class="help">What each stage of the network makes of a picture.</p>'
    parts = []
    for i, maps in enumerate(stages, 1):
        count, height, width = maps.shape
        shown = len(pictures.strongest(maps))
        words = f"Stage {i}: {count} maps of {width} by {height}"
        parts.append(
            f'<figure><img src="{pictures.sheet_uri(maps)}" alt="{words}, the {shown} strongest">'
            f"<figcaption><b>{words}</b>, the {shown} that vary most</figcaption></figure>"
        )
    return f'<div class="layers">{"".join(parts)}</div>'


def _bar(name: str, share: float | None) -> str:
    width = 0.0 if share is None else share
    value = "" if share is None else percent(share)
    return (
        f'<li><span class="name">{escape(name)}</span><span class="track"><i style="width: '
        f'{width:.1%}"></i></span><span class="value">{value}</span></li>'
    )
