"""Opens the web page: `python app.py` (see --help)."""

import argparse
import errno
import gc
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

# Before gradio and the hub's library are imported: they would report their use to others.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from model.utils.errors import ConfigError, exit_on_error
from model.utils.memory import limit_arenas
from model.utils.root import INSTALLED

if TYPE_CHECKING:
    import uvicorn

PORTS = range(7860, 7960)  # of which the first free one is taken
GRACE = 1  # seconds that answers on their way have when the page is stopped


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
    code = 130
    with exit_on_error(), tempfile.TemporaryDirectory(prefix="cifarnet-") as folder:
        os.environ.setdefault("GRADIO_TEMP_DIR", folder)  # not shared with other programs
        lines = sys.stdout if options.log_json else None
        try:
            with redirect_stdout(sys.stderr if lines else sys.stdout):  # only JSON goes there
                server, listener = open_page(options, lines)
                print(f"The page is at {address_of(listener)}  (stop it with Ctrl-C)", flush=True)
                code = 0
                server.run(sockets=[listener])
        except KeyboardInterrupt:
            return code  # 130 while it was still starting
    return code


def open_page(
    options: argparse.Namespace, lines: TextIO | None = None
) -> "tuple[uvicorn.Server, socket.socket]":
    """The page, ready to run, and where it listens: visitors may come, and wait.

    Gradio's own `launch` asks itself whether it can be reached, which fails behind the proxies that
    an environment names, and looks for ports on IPv4 only.

    Args:
        options: See `parser`.
        lines: Where a line of JSON a question goes; None writes none.

    Raises:
        ConfigError: If the address cannot be used.
        CifarnetError: If a model cannot be loaded.
    """
    if options.mcp and find_spec("mcp") is None:
        raise ConfigError("--mcp needs another package: pip install 'gradio[mcp]'")
    listener = _listen(options.host, options.port)  # before the seconds that loading takes
    try:
        if options.dataset and Path(options.dataset).is_dir():
            from model.data import open_dataset

            open_dataset(options.dataset)  # a wrong folder is said at once, a hub may take long
        import uvicorn

        with _without_proxies():
            from web import page
        from model.hub.snapshot import default_model
        from web.journal import Journal
        from web.lessons import Lessons
        from web.models import Models
        from web.site import Site
        from web.trainings import Trainings

        models, lessons = Models(options.model or ()), None
        if options.allow_training:
            lessons = Lessons(options.dataset, default_model(), Trainings())
        app = page.application(Site(models, options.dataset, Journal(lines), lessons), options.mcp)
    except BaseException:
        listener.close()
        raise
    gc.collect()
    gc.freeze()  # what there is now stays: full collections look at what came later, and are short
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=GRACE)
    return uvicorn.Server(config), listener


def address_of(listener: socket.socket) -> str:
    """The address to open in a browser on this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    options = argparse.ArgumentParser(
        prog="cifarnet app" if INSTALLED else "python app.py",
        description="Opens a web page that classifies pictures and explains itself.",
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
        default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        help="address to listen on; 0.0.0.0, or :: with IPv6, lets other machines in (default: "
        "GRADIO_SERVER_NAME, or 127.0.0.1)",
    )
    options.add_argument(
        "--port",
        type=_port,
        default=os.environ.get("GRADIO_SERVER_PORT"),
        help="port to listen on (default: GRADIO_SERVER_PORT, or the first free one from 7860)",
    )
    options.add_argument(
        "--dataset",
        metavar="DIR_OR_ID",
        help="what the model was tested on; the page then shows real test pictures",
    )
    options.add_argument(
        "--allow-training",
        action="store_true",
        help="let visitors teach it classes of their own, on this machine",
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


@contextmanager
def _without_proxies() -> Iterator[None]:
    """Keeps gradio, as it is imported, from getting ready to fetch things by way of proxies.

    It fails at some that an environment may name, and on this page it fetches nothing. Models and
    datasets still come by way of them.
    """
    named = os.environ.get("no_proxy")
    os.environ["no_proxy"] = "*"
    try:
        yield
    finally:
        del os.environ["no_proxy"]
        if named is not None:
            os.environ["no_proxy"] = named


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(
            f"{text!r} (given here, or as GRADIO_SERVER_PORT) is not a port, a number from 1 to "
            "65535"
        )
    return int(text)


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens, on a port or on the first free one."""
    host = host.strip("[]")  # as IPv6 addresses stand in a browser
    for number in [port] if port else PORTS:
        try:
            found = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
            both = host == "::" and socket.has_dualstack_ipv6()  # IPv4 as well
            listener = socket.create_server(found[4], family=found[0], dualstack_ipv6=both)
            # Which asyncio does itself for sockets made otherwise: each answer is several small
            # messages, and would wait up to 40 ms for word that the first one has arrived.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            return listener
        except (OSError, UnicodeError) as error:  # no name of a host may hold ".."
            refused, reason = number, getattr(error, "strerror", None) or error
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                break
    raise ConfigError(
        f"Nothing can listen on {host} port {refused} ({reason}). Choose another one with --port "
        "or --host, or stop what uses it."
    )


if __name__ == "__main__":
    sys.exit(main())
