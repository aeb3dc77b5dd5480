"""Sends models to a hub and fetches them: `python -m model.hub --help`."""

import argparse
import sys
from pathlib import Path

from model.errors import exit_on_error
from model.hub.pull import pull
from model.hub.push import Pushed, push_to_hub


def main(arguments: list[str] | None = None) -> int:
    """Does what the command line asks.

    Args:
        arguments: Those of this process if None.

    Returns:
        The exit code.

    Raises:
        SystemExit: with code 2 and one message if the hub refuses, or something is wrong here.
    """
    args = _parser().parse_args(arguments)
    with exit_on_error():
        if args.command == "push":
            options = dict(private=args.private, revision=args.revision, message=args.message)
            print(_told(push_to_hub(args.model, args.repo_id, dry_run=args.dry_run, **options)))
        else:
            folder, commit = pull(args.repo_id, args.directory, revision=args.revision)
            print(f"{args.repo_id} at {commit[:8]} is in {folder}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.hub", description="Sends models to a hub and fetches them."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    push = commands.add_parser("push", help="send a trained model, in one commit")
    push.add_argument("model", type=Path, help="folder of a trained model")
    push.add_argument("repo_id", help="owner/name; made if need be")
    push.add_argument("--private", action="store_true", help="make the repository a private one")
    push.add_argument("--revision", metavar="TAG", help="tag the commit, such as v1")
    push.add_argument("--message", help="of the commit")
    push.add_argument("--dry-run", action="store_true", help="only say what would be sent")
    get = commands.add_parser("pull", help="fetch a model into a folder")
    get.add_argument("repo_id", help="owner/name")
    get.add_argument("directory", type=Path, help="made; must not hold anything yet")
    get.add_argument("--revision", metavar="REVISION", help="branch, tag or commit")
    return parser


def _told(pushed: Pushed) -> str:
    """What was sent, a line a file, and where it is."""
    width = max(map(len, pushed.files))
    lines = [f"{name:<{width}}  {size / 1024:>10,.1f} KiB" for name, size in pushed.files.items()]
    total = f"{sum(pushed.files.values()) / 2**20:,.1f} MiB in {len(pushed.files)} files"
    if pushed.commit is None:
        return "\n".join([*lines, f"{total} would be sent to {pushed.repo_id}; nothing was."])
    if not pushed.new:
        return f"{pushed.repo_id} holds all of it already: {pushed.url}"
    return "\n".join([*lines, f"{total} are at {pushed.url}"])


if __name__ == "__main__":
    sys.exit(main())
