"""Runs the benchmarks and writes RESULTS.md: `python -m benchmarks`, or only some: `python -m benchmarks maps`."""

from __future__ import annotations

import re
import sys
import warnings
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from benchmarks.measure import machine

NAMES = ("plan", "maps", "occlusion", "occlusion_profile", "projection", "index")
RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = (
    "# Measured\n\nWritten by `make bench`; every number was measured, none is typed by hand. Ratios are taken side "
    "by side in one run: above 1 featmap is faster, below 1 it is slower.\n"
)


def main() -> None:
    warnings.simplefilter("ignore")
    sections = _known()
    for name in sys.argv[1:] or NAMES:
        stamp = f"\n\n<small>{datetime.now(UTC):%Y-%m-%d}; {machine()}</small>\n"
        print(f"{name} ...", file=sys.stderr, flush=True)
        sections[name] = import_module(f"benchmarks.{name}").run() + stamp
        _write(sections)
        print(sections[name])


def _known() -> dict[str, str]:
    """The sections of earlier runs."""
    if not RESULTS.exists():
        return {}
    found = re.findall(r"<!-- (\w+) -->\n(.*?)(?=<!-- \w+ -->|\Z)", RESULTS.read_text(), re.S)
    return {name: text.strip() + "\n" for name, text in found}


def _write(sections: dict[str, str]) -> None:
    body = "\n".join(f"<!-- {name} -->\n{sections[name]}" for name in NAMES if name in sections)
    RESULTS.write_text(f"{HEAD}\n{body}")


if __name__ == "__main__":
    main()
