"""Sends models to a hub and fetches them: `python -m model.hub --help`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from huggingface_hub.utils import logging

from ..utils.errors import exit_on_error
from ..utils.root import INSTALLED
from .export import export_onnx
from .pull import pull
from .push import Pushed, push_to_hub
from .space import push_space


def main(arguments: list[str] | None = None) -> int:
    """Does what the command line asks.

    Args:
        arguments: Those of this process if None.

    Returns:
        The exit code.

    Raises:
        SystemExit: with code 2 and one message if the hub refuses, or something is wrong here.
    """
    options = vars(_parser().parse_args(arguments))
    logging.set_verbosity_error()  # our own messages say it
    with exit_on_error():
        print(options.pop("run")(**options))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cifarnet" if INSTALLED else "python -m model.hub",
        description="Sends models to a hub and fetches them. HF_ENDPOINT names another hub.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    push = commands.add_parser("push", help="send a trained model, in one commit")
    space = commands.add_parser("push-space", help="send the web page as a Space, with a model")
    for command, run in ((push, _push), (space, _push_space)):
        add = command.add_argument
        add("model", metavar="DIR", type=Path, help="folder of a trained model; . is the default")
        add("repo_id", metavar="ID", help="owner/name; made if need be")
        add("--private", action="store_true", help="make the repository a private one")
        add("--message", metavar="TEXT", help="of the commit")
        add("--dry-run", action="store_true", help="only say what would be sent")
        command.set_defaults(run=run)
    push.add_argument("--revision", metavar="TAG", help="tag the commit, such as v1")
    get = commands.add_parser("pull", help="fetch a model into a folder")
    get.add_argument("repo_id", metavar="ID", help="owner/name")
    get.add_argument("directory", metavar="DIR", type=Path, help="made; must not hold anything yet")
    get.set_defaults(run=_pull)
    export = commands.add_parser("export-onnx", help="write a model as an ONNX file")
    export.add_argument("model", metavar="DIR_OR_ID", help="folder of a trained model, or hub id")
    export.add_argument("path", metavar="FILE", type=Path, help="to write, such as model.onnx")
    export.set_defaults(run=_export)
    for command in (get, export):
        command.add_argument("--revision", metavar="REVISION", help="branch, tag or commit")
    return parser


def _push(revision: str | None, **asked: Any) -> str:
    pushed = push_to_hub(**asked, revision=revision)
    return _summary(pushed) + (f", tagged {revision}" if revision else "")


def _push_space(**asked: Any) -> str:
    return _summary(push_space(**asked))


def _pull(repo_id: str, **asked: Any) -> str:
    folder, commit = pull(repo_id, **asked)
    return f"{repo_id} at {commit} is in {folder}"


def _export(**asked: Any) -> str:
    path = export_onnx(**asked)
    return f"{path} ({path.stat().st_size / 2**20:,.1f} MiB)"


def _summary(pushed: Pushed) -> str:
    """What was sent, a line a file, and where it is."""
    width = max(map(len, pushed.files))
    lines = [f"{name:<{width}}  {size / 1024:>10,.1f} KiB" for name, size in pushed.files.items()]
    total = f"{sum(pushed.files.values()) / 2**20:,.1f} MiB in {len(pushed.files)} files"
    if pushed.commit is None:
        return "\n".join([*lines, f"A dry run: {total}, for {pushed.repo_id}"])
    if not pushed.new:
        return f"{pushed.repo_id} holds all of it already: {pushed.url}"
    return "\n".join([*lines, f"{total} are at {pushed.url}"])


if __name__ == "__main__":
    sys.exit(main())
