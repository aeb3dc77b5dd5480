"""Names what pictures show: `python -m model photo.jpg`, or `cifarnet photo.jpg` once installed.

Everything heavy is imported after the arguments were understood, so that --help answers at once.
"""

import argparse
import json
import logging
import os
import sys
import warnings
from glob import glob
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING

from . import __version__
from .utils.errors import ImageError, exit_on_error
from .utils.root import INSTALLED, ROOT

if TYPE_CHECKING:
    from .inference.classifier import Prediction

BAD_IMAGE = 1  # exit code when some picture could not be read
HUB_COMMANDS = ("push", "pull", "push-space", "export-onnx")
COMMANDS = f"""\
other commands, each with its own --help:
  {", ".join(HUB_COMMANDS)}
                        send a model to a hub, fetch one, or write it as an ONNX file
  app                   open the web page
(a picture of such a name: ./push)
"""


def main(arguments: list[str] | None = None) -> int:
    """Classifies the pictures named on the command line, or does what its first word says.

    Args:
        arguments: Those of this process if None.

    Returns:
        The exit code: 1 if a picture could not be read, else 0.

    Raises:
        SystemExit: with code 2 and one message if the model cannot be loaded.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["app"]:
        return _open_page(arguments[1:])
    if arguments and arguments[0] in HUB_COMMANDS:
        with exit_on_error():
            from .hub.__main__ import main as send_or_fetch
        return send_or_fetch(arguments)
    return _classify(_parser().parse_args(arguments))


def _classify(options: argparse.Namespace) -> int:
    failed = False
    with exit_on_error():
        _silence_libraries()

        from .inference.classifier import Classifier

        classify = Classifier.from_pretrained(options.model)
        for path in chain.from_iterable(map(_matching, options.images)):
            try:
                prediction = classify(path)
            except ImageError as error:
                print(f"error: {error}", file=sys.stderr)
                failed = True
                continue
            show = _as_json if options.json else _as_text
            print(show(path, prediction, options.top), flush=True)
    return BAD_IMAGE if failed else 0


def _matching(path: str) -> list[str]:
    """The files of a pattern such as *.png, which Windows leaves to programs; or the path."""
    return [path] if os.path.lexists(path) else sorted(glob(path)) or [path]


def _open_page(arguments: list[str]) -> int:
    """Runs app.py, which lies in the checkout's root or in the installed package."""
    with exit_on_error():
        if INSTALLED:
            app = import_module(f"{__package__}.app")
        else:
            sys.path.insert(0, str(ROOT))
            app = import_module("app")
    return int(app.main(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cifarnet" if INSTALLED else "python -m model",
        description="Names what pictures show, a line for each.",
        epilog=COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    parser.add_argument("--version", action="version", version=f"cifarnet {__version__}")
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object a line (default: text)"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _as_text(path: str, prediction: "Prediction", k: int) -> str:
    named = (f"{label} {100 * probability:.1f} %" for label, probability in prediction.top(k))
    head = "closest: " if prediction.verdict == "none" else ""
    return f"{path}: {prediction.sentence} ({head}{', '.join(named)})"


def _as_json(path: str, prediction: "Prediction", k: int) -> str:
    told = vars(prediction) | {"probabilities": dict(prediction.top(k))}
    return json.dumps({"image": path, **told})


def _silence_libraries() -> None:
    """Keeps what libraries have to say about themselves off a user's screen."""
    from huggingface_hub.utils import disable_progress_bars

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    disable_progress_bars()


if __name__ == "__main__":
    sys.exit(main())
