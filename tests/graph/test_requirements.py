"""The oldest supported torch: what is refused, where, and that every mention of the version agrees."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from featmap.errors import MissingPackage
from featmap.graph import requirements

ROOT = Path(__file__).parents[2]
OLDEST = ".".join(map(str, requirements.OLDEST_TORCH))


@pytest.mark.parametrize("installed", ["2.6.0", "2.7.1+cu126", "1.13.0", "2.0"])
def test_an_older_torch_is_refused(monkeypatch: pytest.MonkeyPatch, installed: str) -> None:
    monkeypatch.setattr(requirements, "version", lambda _: installed)
    with pytest.raises(MissingPackage) as caught:
        requirements.check_torch()
    assert str(caught.value) == (
        f"featmap needs torch {OLDEST} or newer; torch {installed} is installed.\n\nRun: pip install 'torch>={OLDEST}'"
    )


@pytest.mark.parametrize("installed", [f"{OLDEST}.0", "2.13.0+cpu", "2.100.0", "3.0", "a build of one's own"])
def test_a_promised_torch_is_not(monkeypatch: pytest.MonkeyPatch, installed: str) -> None:
    monkeypatch.setattr(requirements, "version", lambda _: installed)
    requirements.check_torch()


def test_it_is_refused_where_torch_is_first_needed() -> None:
    code = """
import importlib.metadata, sys
importlib.metadata.version = lambda name: "2.0.0"
import featmap as fm
fm.geometry.Window(kernel=5)
try:
    fm.trace
except fm.errors.MissingPackage:
    sys.exit(0)
sys.exit("was not refused")
"""
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_oldest_versions_are_those_that_are_promised() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    promised = [*project["dependencies"], *extras["zoo"], *extras["demo"], *extras["pandas"], *extras["ray"]]
    oldest = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / "constraints-oldest.txt").read_text(), re.MULTILINE))
    for requirement in promised:
        name, _, lowest = requirement.partition(">=")
        assert f"{oldest[name]}.".startswith(f"{lowest}."), requirement
    assert f"torch>={OLDEST}" in promised
