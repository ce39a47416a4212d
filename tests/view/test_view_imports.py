"""Pictures come from plain numbers: no torch, and no global state of matplotlib."""

import subprocess
import sys

import pytest

MODULES = [
    "sheets.maps",
    "pictures.contributions",
    "pictures.explain",
    "drawing.overlay",
    "report.page",
    "output",
    "drawing.panel",
]


@pytest.mark.parametrize("module", MODULES)
def test_view_imports_neither_torch_nor_pyplot(module):
    code = (
        f"import sys, featmap.view.{module}; "
        "print([name for name in ('torch', 'matplotlib.pyplot') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_folder_itself_loads_nothing():
    code = "import sys, featmap.view; print([name for name in ('numpy', 'PIL', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
