"""Settings of every test run: one thread per worker, pictures without a screen, no silent skips; and what it prints.

The settings are made before anything imports torch or matplotlib, and commands that tests start inherit them.
"""

import gc
import os
from typing import Any

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# How long an example takes depends on what else the machine does.
settings.register_profile("featmap", deadline=None)
settings.load_profile("featmap")

# Tests make a million objects that stay; looking through them for unused circles again and again took 5% of the time.
gc.set_threshold(100_000)

pytest_plugins = ["support.missing_packages"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The capture rate, where the networks were tested."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    properties = [entry for report in reports for entry in getattr(report, "user_properties", [])]
    tried, captured = (
        dict.fromkeys(model for name, model in properties if name == kind) for kind in ("zoo", "zoo captured")
    )
    if tried:
        terminalreporter.section("networks captured")
        for zoo in dict.fromkeys(model.partition(":")[0] for model in tried):
            names = [model for model in tried if model.startswith(f"{zoo}:")]
            refused = [model for model in names if model not in captured]
            rate = f"{zoo}: {len(names) - len(refused)} of {len(names)}"
            terminalreporter.write_line(f"{rate}; not captured: {', '.join(refused)}" if refused else rate)
        counts = [counts for name, counts in properties if name == "zoo shapes"]
        shapes, compared, convolutions = map(sum, zip(*counts, strict=True)) if counts else (0, 0, 0)
        terminalreporter.write_line(
            f"{shapes} module calls have the planned shape, among them {compared} of {convolutions} convolution calls"
        )


def pytest_configure() -> None:
    """Holds `run/`, `statistics/` and `methods/` to the shapes that they name, in this process and in every worker."""
    from support.shapes import check_shapes

    check_shapes()
