"""Pictures come from plain numbers, without torch; matplotlib is loaded when something is drawn."""

import subprocess
import sys

MODULES = [
    "sheets.maps",
    "pictures.contributions",
    "pictures.explain",
    "drawing.overlay",
    "report.page",
    "output",
    "drawing.panel",
]


def test_view_imports_neither_torch_nor_matplotlib():
    modules = ", ".join(f"featmap.view.{module}" for module in MODULES)
    code = f"import sys, {modules}; print([name for name in ('torch', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_folder_itself_loads_nothing():
    code = "import sys, featmap.view; print([name for name in ('numpy', 'PIL', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
