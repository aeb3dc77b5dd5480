"""Opens the web page: `python app.py` (see --help)."""

import argparse
import gc
import os
import signal
import socket
import sys
import tempfile
from contextlib import redirect_stdout
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

# Before gradio and the hub's library are imported: they would report their use to others.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from model.utils.errors import ConfigError, exit_on_error
from model.utils.memory import limit_arenas


def main(arguments: list[str] | None = None) -> int:
    """Loads the models, opens the page and serves it until Ctrl-C.

    Args:
        arguments: Those of this process if None.

    Returns:
        The exit code.

    Raises:
        SystemExit: with code 2 and one message if a model or the address cannot be used.
    """
    options = parser().parse_args(arguments)
    limit_arenas()  # before any library starts threads
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that uploads are removed
    said = sys.stderr if options.log_json else sys.stdout  # where only JSON goes to the other
    with exit_on_error(), tempfile.TemporaryDirectory(prefix="cifarnet-") as folder:
        os.environ.setdefault("GRADIO_TEMP_DIR", folder)  # not shared with other programs
        try:
            blocks, url = open_page(options, sys.stdout if options.log_json else None)
            with redirect_stdout(said):
                print(f"The page is at {url}  (stop it with Ctrl-C)", flush=True)
                blocks.block_thread()
        except KeyboardInterrupt:  # while it is still starting; later the page itself takes it
            return 130
    return 0


def open_page(options: argparse.Namespace, lines: TextIO | None = None) -> tuple[Any, str]:
    """The running page and its address.

    Args:
        options: See `parser`.
        lines: Where a line of JSON a question goes; None writes none.

    Raises:
        ConfigError: If the address cannot be used.
        CifarnetError: If a model cannot be loaded.
    """
    host = options.host or os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    if options.mcp and find_spec("mcp") is None:
        raise ConfigError("--mcp needs another package: pip install 'gradio[mcp]'")
    _check_address(host, options.port or 0)  # before the seconds that loading takes
    if options.dataset and Path(options.dataset).is_dir():
        from model.data import open_dataset

        open_dataset(options.dataset)  # a wrong folder is said at once, a hub may take long
    from web import guard, page, uploads
    from web.journal import Journal
    from web.models import Models

    uploads.keep_tidy()
    journal, models = Journal(lines), Models(options.model or ())
    blocks = page.build(
        models, dataset=options.dataset, allow_training=options.allow_training, journal=journal
    )
    # Closed to calls that would not wait for their turn.
    limits: Any = dict(max_size=page.MAX_WAITING, default_concurrency_limit=page.AT_ONCE)
    blocks.queue(**limits, api_open=False)
    try:
        _, url, _ = blocks.launch(
            server_name=host,
            server_port=options.port,
            mcp_server=options.mcp,
            prevent_thread_lock=True,
            app_kwargs=guard.app_settings(
                journal, partial(len, blocks._queue), page.MAX_WAITING, lambda: models.names
            ),
            **page.settings(),
        )
    except OSError as error:  # all ports that gradio tries are taken, or one just now
        raise ConfigError(f"The page cannot be opened on {host}: {error}") from None
    gc.collect()
    gc.freeze()  # what there is now stays: full collections look at what came later, and are short
    return blocks, url


def parser() -> argparse.ArgumentParser:
    """The command line."""
    options = argparse.ArgumentParser(
        description="Opens a web page that classifies pictures and explains itself."
    )
    options.add_argument(
        "--model",
        action="append",
        metavar="DIR_OR_ID",
        help="folder of a training run or hub id; repeat it to compare several (default: the "
        "weights that come with this code)",
    )
    options.add_argument(
        "--host",
        help="address to listen on; 0.0.0.0 lets other machines in (default: 127.0.0.1)",
    )
    options.add_argument(
        "--port", type=_port, help="port to listen on (default: the first free one from 7860)"
    )
    options.add_argument(
        "--dataset",
        metavar="DIR_OR_ID",
        help="what the model was tested on; the page then shows real test pictures",
    )
    options.add_argument(
        "--allow-training", action="store_true", help="let visitors train, on this machine"
    )
    options.add_argument(
        "--log-json",
        action="store_true",
        help="print a line of JSON a question: time, size, verdict, milliseconds, kind of error",
    )
    options.add_argument(
        "--mcp", action="store_true", help="offer the API as MCP tools too (needs `gradio[mcp]`)"
    )
    return options


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number from 1 to 65535")
    return int(text)


def _check_address(host: str, port: int) -> None:
    """Fails early, and clearly, where nothing can listen."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            if os.name == "posix":  # elsewhere it would share a port that is in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()  # two may bind, only one may listen
    except OSError as error:
        raise ConfigError(
            f"Nothing can listen on {host} port {port} ({error.strerror or error}). Choose another "
            "one with --port or --host, or stop what uses it."
        ) from None


if __name__ == "__main__":
    sys.exit(main())
