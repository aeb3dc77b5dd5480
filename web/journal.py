"""What the page tells those who run it: a line a question, and numbers for Prometheus.

Neither holds anything of a picture, nor a visitor's whole address.
"""

import ipaddress
import json
import secrets
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TextIO

import gradio as gr
import prometheus_client as prometheus

from model.inference.prediction import Prediction
from model.utils.errors import CifarnetError, report

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # histogram's bounds


@dataclass
class Entry:
    """What becomes known of a question while it is answered."""

    size: int = 0
    """Bytes of its pictures."""
    verdicts: Counter[str] = field(default_factory=Counter)
    error: str | None = None
    """Kind of error: the name of one of ours, "crash", "cancelled"; None if there was none."""

    def answered(self, found: Iterable[Prediction]) -> None:
        """Counts what was said about pictures."""
        self.verdicts.update(one.verdict for one in found)

    def failed(self, error: BaseException) -> None:
        """Notes why there is no answer."""
        ours = isinstance(error, CifarnetError | gr.Error)
        self.error = type(error).__name__ if ours else "crash"


class Journal:
    """Counts questions and refusals, and writes a line of JSON about each if asked to.

    Args:
        lines: Where lines go; None writes none.
    """

    def __init__(self, lines: TextIO | None = None) -> None:
        self._lines, self._lock = lines, threading.Lock()
        registry = self.registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)

        def counter(name: str, help: str, *labels: str) -> prometheus.Counter:
            return prometheus.Counter(f"cifarnet_{name}", help, labels, registry=registry)

        kinds = "Questions that were worked on, by kind and by kind of error."
        self._questions = counter("questions", kinds, "kind", "error")
        self._verdicts = counter("pictures", "Pictures that were answered, by verdict.", "verdict")
        reasons = "Requests that were turned away before any picture was looked at, by reason."
        self._refusals = counter("refusals", reasons, "reason")
        self._seconds = prometheus.Histogram(
            "cifarnet_question_seconds",
            "Time from a question's turn in the queue to its answer.",
            ("kind",),
            buckets=SECONDS,
            registry=registry,
        )

    @contextmanager
    def question(self, kind: str) -> Iterator[Entry]:
        """Times a question and records what becomes of it.

        Args:
            kind: Such as "classify".

        Raises:
            gr.Error: In place of an error that is none of ours; a crash report tells the rest.
        """
        entry, began = Entry(), time.perf_counter()
        try:
            yield entry
        except GeneratorExit:  # the visitor went away
            entry.error = "cancelled"
            raise
        except Exception as error:
            entry.failed(error)
            if entry.error != "crash":
                raise
            number, lines = secrets.token_hex(4), "".join(traceback.format_exception(error))
            print(f"{lines}\nReport {number}. {report()}", file=sys.stderr, flush=True)
            said = (
                f"Something went wrong here, which is not your picture's fault (report {number})."
            )
            raise gr.Error(said, print_exception=False) from None
        finally:
            seconds = time.perf_counter() - began
            self._questions.labels(kind, entry.error or "").inc()
            self._seconds.labels(kind).observe(seconds)
            for verdict, count in entry.verdicts.items():
                self._verdicts.labels(verdict).inc(count)
            known = dict(bytes=entry.size, verdicts=dict(entry.verdicts), error=entry.error)
            self._write(kind=kind, ms=round(1000 * seconds, 1), **known)

    def refused(self, reason: str, client: str | None = None, size: int = 0) -> None:
        """Records a request that was turned away at the door."""
        self._refusals.labels(reason).inc()
        self._write(client=shortened(client), kind="refused", bytes=size, error=reason)

    def metrics(self) -> bytes:
        """All numbers in Prometheus's text format."""
        return prometheus.generate_latest(self.registry)

    def _write(self, **content: object) -> None:
        if self._lines is None:
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self._lock, suppress(OSError, ValueError):  # a full disk, a reader that went away
            print(json.dumps({"time": now, **content}), file=self._lines, flush=True)


def shortened(address: str | None) -> str | None:
    """The network that an address belongs to: enough to tell crowds from one, not who it is."""
    try:
        whole = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    return str(ipaddress.ip_network((whole, 24 if whole.version == 4 else 48), strict=False))
