"""Puts the page together: a head, a tab for each thing to do, and the API."""

import errno
import sys
import traceback
from pathlib import Path
from typing import Any

import gradio as gr

from web import api, classify, learn, many, quality, theme, uploads, use
from web.journal import Journal
from web.models import Models
from web.site import Site

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
    """gradio's page, but input that gradio refuses is answered by a sentence, and counted.

    Args:
        journal: Where refusals are recorded.
        options: Those of gradio.
    """

    def __init__(self, journal: Journal, **options: Any) -> None:
        super().__init__(**options)
        self._journal = journal

    async def preprocess_data(self, *args: Any, **options: Any) -> Any:
        """Checks what a request holds and makes it the values that our functions are given.

        Raises:
            gr.Error: If values are missing, or name a file that was not uploaded; also if this
                machine fails, which a crash report tells of.
        """
        try:
            return await super().preprocess_data(*args, **options)
        except gr.Error as error:  # says itself what is wrong
            error.print_exception = False
            self._journal.refused("bad input")
            raise
        except OSError as error:
            if error.errno in NO_SUCH_FILE:
                raise self._refusal(error) from None
            with self._journal.question("input"):  # this machine's fault: a full disk, say
                raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> gr.Error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        print(f"Input refused: {type(error).__name__} in {where}", file=sys.stderr, flush=True)
        self._journal.refused("bad input")
        return gr.Error(BAD_INPUT, print_exception=False)


def build(
    models: Models,
    *,
    dataset: str | None = None,
    allow_training: bool = False,
    journal: Journal | None = None,
) -> gr.Blocks:
    """The whole page.

    Args:
        models: What to classify with.
        dataset: Given on the command line; its test pictures can be looked at.
        allow_training: Whether visitors may train.
        journal: Where questions are recorded.
    """
    uploads.forbid_downloads()
    site = Site(models, models.results(), dataset, journal or Journal())
    with Page(
        site.journal,
        title=TITLE,
        analytics_enabled=False,
        delete_cache=(uploads.CACHE_CHECK, uploads.CACHE_AGE),
    ) as page:
        gr.HTML(f"<h1>{TITLE}</h1><p>{INTRO}</p>", elem_id="head")
        tabs = [("Classify", classify), ("Many images", many), ("How good is it?", quality)]
        if allow_training:
            tabs.append(("Watch it learn", learn))
        with gr.Tabs(overflow_behavior="wrap"):
            for name, module in [*tabs, ("Use it", use)]:
                with gr.Tab(name):
                    gr.HTML(f"<h2>{name}</h2>", elem_classes="unseen")  # for screen readers
                    module.tab(site)
        api.add(site)
    return page


def settings() -> dict[str, Any]:
    """What `launch` needs besides an address: limits, privacy, looks."""
    return dict(
        theme=theme.theme(),
        css=theme.CSS,
        max_file_size=uploads.MAX_UPLOAD,
        allowed_paths=[],
        show_error=False,  # what a visitor may read is said by gr.Error, traces stay here
        run_history=False,
        footer_links=["api", "settings"],
        enable_monitoring=False,
        state_session_capacity=MOST_SESSIONS,
        ssr_mode=False,
        share=False,
        quiet=True,
    )
