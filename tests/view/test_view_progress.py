"""Progress bars: after a second, on standard error; also for work that reports nothing, on terminals."""

from __future__ import annotations

import io
import threading
import time

import pytest

from featmap.view import progress


class Terminal(io.StringIO):
    """A standard error that people look at, or a file."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def seen(stream: Terminal, patience_s: float, monkeypatch: pytest.MonkeyPatch, work_s: float) -> str:
    """What stands on standard error after silent work that lasts until something is shown, or `work_s`."""
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(progress, "PATIENCE_S", patience_s)
    with progress.default_progress(None, "feature maps") as report:
        end = time.monotonic() + work_s
        while "feature maps" not in stream.getvalue() and time.monotonic() < end:
            time.sleep(0.01)
        assert report is not None
        report(1, 1)
    return stream.getvalue()


def test_work_that_reports_nothing_shows_itself_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    text = seen(Terminal(is_terminal=True), 0.02, monkeypatch, work_s=20)
    assert "feature maps" in text
    assert "1/1" in text
    end = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() == before


@pytest.mark.parametrize(("is_terminal", "patience_s"), [(False, 0.02), (True, 60)])
def test_nothing_is_shown_in_a_file_or_of_short_work(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, patience_s: float
) -> None:
    assert seen(Terminal(is_terminal=is_terminal), patience_s, monkeypatch, work_s=0.1) == ""


def test_nothing_appears_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal(is_terminal=True)
    assert seen(stream, 0.2, monkeypatch, work_s=0) == ""
    time.sleep(0.4)
    assert stream.getvalue() == ""


def test_false_and_a_function_of_ones_own_are_taken() -> None:
    heard: list[tuple[int, int]] = []
    with progress.default_progress(False, "maps") as nothing, progress.default_progress(print, "maps") as own:
        assert (nothing, own) == (None, print)
    with progress.default_progress(lambda *counts: heard.append(counts), "maps") as report:
        assert report is not None
        report(3, 7)
    assert heard == [(3, 7)]
