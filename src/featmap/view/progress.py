"""Progress: a bar on standard error with rate and time left, once the work has taken a second.

Work that reports nothing for that long, as one large batch does, shows on a terminal that it is going on.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

Report = Callable[[int, int], None]

PATIENCE_S = 1.0


@contextmanager
def default_progress(progress: Report | bool | None, what: str, unit: str = "images") -> Generator[Report | None]:
    """The progress to report to: the caller's own function, none for False, else a bar that appears after a second."""
    if progress is False:
        yield None
    elif callable(progress):
        yield progress
    else:
        bar = _PatientBar(what, unit)
        try:
            yield bar.report
        finally:
            bar.close()


class _PatientBar:
    """A rich progress bar that short work never shows."""

    def __init__(self, what: str, unit: str) -> None:
        self.what = what
        self.unit = unit
        self.start = time.monotonic()
        self.bar = None
        self.task = None
        self.lock = threading.Lock()
        self.timer = threading.Timer(PATIENCE_S, self._show)
        self.timer.daemon = True
        if sys.stderr.isatty():
            self.timer.start()

    def report(self, done: int, total: int) -> None:
        with self.lock:
            elapsed = time.monotonic() - self.start
            if self.bar is None and elapsed > PATIENCE_S and done < total:
                self._open()
            if self.bar is not None and self.task is not None:
                self.bar.update(self.task, completed=done, total=total, rate=f"{done / elapsed:.1f} {self.unit}/s")

    def _show(self) -> None:
        with self.lock:
            if self.bar is None and not self.timer.finished.is_set():
                self._open()

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr, emoji=False),
        )
        self.bar.start()
        self.task = self.bar.add_task(self.what, total=None, rate="")

    def close(self) -> None:
        self.timer.cancel()
        with self.lock:
            if self.bar is not None:
                self.bar.stop()
