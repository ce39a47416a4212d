"""A pytest plugin: a test that is skipped because a package is missing has failed.

`make setup` installs all that the tests need, so such a skip says that something is not tested, and nobody would read
it. What may be absent, since pip cannot install it, is listed in `EXCUSED`.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

import pytest

EXCUSED = {
    r"\bChromium\b": "a browser",
    r"\bNode\b": "the compiler of the page's types",
    r"\bno disk can be mounted\b|\b(Linux|macOS|Windows)\b": "another operating system, or fewer rights on it",
}
"""Reasons of skips that are no failures, with what is absent."""

MISSING = re.compile(r"could not import|cannot be imported|no module named|not installed", re.IGNORECASE)
IMPORT_NAMES = {"scikit-image": "skimage"}
REMEDY = (
    "Run `make setup`, which installs all that the tests need. Where it cannot, add the reason to EXCUSED in "
    "tests/support/missing_packages.py."
)


@cache
def extra_packages() -> frozenset[str]:
    """The packages of featmap's extras, by their own names and those that they are imported by, in lower case."""
    try:
        wanted = [line for line in requires("featmap") or () if "extra ==" in line]
    except PackageNotFoundError:
        return frozenset()
    names = {match[0].lower() for line in wanted if (match := re.match(r"[\w.-]+", line))}
    return frozenset(names | {IMPORT_NAMES[name] for name in names & IMPORT_NAMES.keys()}) - {"featmap"}


def is_for_a_missing_package(reason: str) -> bool:
    """Whether a skip's reason is that a package is missing, and not one of those that are excused."""
    if any(re.search(pattern, reason) for pattern in EXCUSED):
        return False
    words = set(re.findall(r"[\w.-]+", reason.lower()))
    return bool(MISSING.search(reason)) or not words.isdisjoint(extra_packages())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Tests, whether skipped by a mark, in a fixture or while they run."""
    return _judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Whole modules, which `pytest.importorskip` skips while they are collected."""
    return _judged((yield))


def _judged(report: Any) -> Any:
    if report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        if is_for_a_missing_package(reason):
            report.outcome = "failed"
            report.longrepr = f"skipped because a package is missing: {reason}\n\n{REMEDY}"
    return report
