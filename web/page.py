"""Puts the page together: a head, a tab for each thing to do, the API, and what watches over it."""

import atexit
import errno
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from web import api, classify, many, quality, teach, theme, uploads, use
from web.guard import Guard
from web.journal import Journal
from web.site import Site
from web.takeaway import Takeaway

TITLE = "cifarnet"
INTRO = "Names what a picture shows, says how sure it is, and shows why."

MAX_WAITING = 64  # requests in the queue; whoever comes later is asked to try again
AT_ONCE = 2  # requests of one kind that are worked on at the same time
# Gradio keeps 64 KiB of settings for each session, and every call by curl is one. What a visitor
# has chosen lies in the browser: nothing is lost with a session but the classes of other models.
MOST_SESSIONS = 128
BAD_INPUT = "That input is incomplete, or its picture was not uploaded. Upload it again."
NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


class Page(gr.Blocks):
    """gradio's page, but input that gradio refuses is answered by a sentence, and counted."""

    journal: Journal
    """Where refusals are recorded."""

    async def preprocess_data(self, *args: Any, **options: Any) -> Any:
        """Checks what a request holds and makes it the values that our functions are given.

        Raises:
            gr.Error: If values are missing, or name a file that was not uploaded; also if this
                machine fails, which a crash report tells of.
        """
        try:
            return await super().preprocess_data(*args, **options)
        except Exception as error:
            if isinstance(error, OSError) and error.errno not in NO_SUCH_FILE:
                with self.journal.question("input"):  # this machine's fault: a full disk, say
                    raise
            self.journal.refused("bad input")
            said = str(error) if isinstance(error, gr.Error) else BAD_INPUT
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            print(f"Input refused: {type(error).__name__} in {where}", file=sys.stderr, flush=True)
            raise gr.Error(said, print_exception=False) from None


def application(site: Site, mcp: bool) -> FastAPI:
    """The whole page as a program for a web server, with its limits.

    Args:
        site: What it is about.
        mcp: Whether the API is offered as MCP tools too.
    """
    uploads.forbid_downloads()
    routes, sweeps = [], []
    if site.lessons:
        atexit.register(site.lessons.close)
        routes, sweeps = Takeaway(site.lessons, site.journal).routes(), [site.lessons.sweep]
    uploads.keep_tidy(*sweeps)
    blocks = _build(site)
    # Closed to calls that would not wait for their turn.
    blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
    blocks.state_session_capacity = MOST_SESSIONS
    # As `launch` does: before, gradio takes any path of this machine that a request names.
    blocks.has_launched = blocks.is_running = True
    waiting = partial(len, blocks._queue)

    def full() -> bool:
        return waiting() >= MAX_WAITING

    def health(request: Request) -> Response:
        status = "busy" if full() else "ok"
        return JSONResponse({"status": status, "waiting": waiting(), "models": site.models.names})

    def metrics(request: Request) -> Response:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return Response(site.journal.metrics(), media_type=kind)

    prefix = urlsplit(blocks.root_path).path.rstrip("/")  # GRADIO_ROOT_PATH
    app = FastAPI(
        routes=[Route("/healthz", health), Route("/metrics", metrics), *routes],
        middleware=[Middleware(Guard, journal=site.journal, full=full, prefix=prefix)],
        openapi_url=None,
    )
    return gr.mount_gradio_app(
        app,
        blocks,
        "/",
        theme=theme.theme(),
        css=theme.CSS,
        max_file_size=uploads.MAX_UPLOAD,
        show_error=False,  # what a visitor may read is said by gr.Error, traces stay here
        run_history=False,
        footer_links=["api", "settings"],
        enable_monitoring=False,
        mcp_server=mcp,
        ssr_mode=False,
    )


def _build(site: Site) -> gr.Blocks:
    with Page(title=TITLE, analytics_enabled=False) as page:
        page.journal = site.journal
        gr.HTML(f"<h1>{TITLE}</h1><p>{INTRO}</p>", elem_id="head")
        tabs = [("Classify", classify), ("Many images", many), ("How good is it?", quality)]
        if site.lessons:
            tabs.append(("Teach it", teach))
        with gr.Tabs(overflow_behavior="wrap"):
            for name, module in [*tabs, ("Use it", use)]:
                with gr.Tab(name):
                    gr.HTML(f"<h2>{name}</h2>", elem_classes="unseen")  # for screen readers
                    module.tab(site)
        api.add(site)
    return page
