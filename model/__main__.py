"""Names what pictures show: `python -m model photo.jpg` (see --help)."""

import argparse
import json
import logging
import sys
import warnings
from pathlib import Path

from huggingface_hub.utils import disable_progress_bars

from .hub.snapshot import default_model
from .inference.classifier import Classifier, Prediction
from .utils.errors import ImageError, exit_on_error

ROOT = Path(__file__).resolve().parent.parent  # where the default weights lie
BAD_IMAGE = 1  # exit code when some picture could not be read


def main(arguments: list[str] | None = None) -> int:
    """Classifies the pictures named on the command line.

    Args:
        arguments: Those of this process if None.

    Returns:
        The exit code: 1 if a picture could not be read, else 0.

    Raises:
        SystemExit: with code 2 and one message if the model cannot be loaded.
    """
    options = _parser().parse_args(arguments)
    _silence_libraries()
    failed = False
    with exit_on_error():
        classify = Classifier.from_pretrained(options.model or default_model(ROOT))
        for path in options.images:
            try:
                prediction = classify(path)
            except ImageError as error:
                print(f"error: {error}", file=sys.stderr)
                failed = True
                continue
            show = _as_json if options.json else _as_text
            print(show(path, prediction, options.top), flush=True)
    return BAD_IMAGE if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model",
        description="Names what pictures show, a line for each.",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument(
        "--model",
        metavar="DIR_OR_ID",
        help="folder of a training run or hub id (default: the weights that come with this code)",
    )
    parser.add_argument(
        "--top",
        type=_positive,
        default=5,
        metavar="K",
        help="how many classes to name (default: %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object a line (default: text)"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _as_text(path: str, prediction: Prediction, k: int) -> str:
    named = (f"{label} {100 * probability:.1f} %" for label, probability in prediction.top(k))
    head = "closest: " if prediction.verdict == "none" else ""
    return f"{path}: {prediction.sentence} ({head}{', '.join(named)})"


def _as_json(path: str, prediction: Prediction, k: int) -> str:
    return json.dumps(
        {
            "image": path,
            "label": prediction.label,
            "probability": prediction.probability,
            "probabilities": dict(prediction.top(k)),
            "verdict": prediction.verdict,
            "sentence": prediction.sentence,
            "scope": prediction.scope,
            "box": prediction.box,
        }
    )


def _silence_libraries() -> None:
    """Keeps what libraries have to say about themselves off a user's screen."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    disable_progress_bars()


if __name__ == "__main__":
    sys.exit(main())
