"""Make the pictures of README and docs anew: python docs/make_pictures.py

Each picture is what the code that stands beside it in its document wrote. Documents are run as the tests run them; the
README's command needs the network that `featmap demo` trains, which is taken from demo/ or trained first. Pictures are
reduced to 256 colours, to be small.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
sys.path[:0] = [str(ROOT / "tests")]

from support import documents  # noqa: E402  (of the tests, no package)

TUTORIAL = {
    "maps-edges-z.png": "tutorial-z.png",
    "maps-meet-a.png": "tutorial-meet.png",
    "value.png": "tutorial-value.png",
    "field.png": "tutorial-field.png",
}


HOW_TO = {
    "signals.md": ("tone.png", "signal-maps.png"),
    "volumes.md": ("ball.png", "volume-maps.png"),
}


def main() -> None:
    """Run the documents' code and keep what it drew."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents.run_document(ROOT / "docs" / "how-to" / "convolution.md", folder)
        shutil.copy(folder / "kernel.svg", PICTURES)
        for name_, (written, kept) in HOW_TO.items():
            documents.run_document(ROOT / "docs" / "how-to" / name_, folder)
            keep(folder / written, kept)
        documents.run_document(ROOT / "docs" / "tutorial.md", folder)
        for written, kept in TUTORIAL.items():
            keep(folder / written, kept)
        readme_command(folder)
        keep(folder / "maps-1.png", "maps.png")


def readme_command(folder: Path) -> None:
    """Run the README's first command, with the demo's trained network at hand."""
    blocks = documents.blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    command = next(block.text for block in blocks if "featmap maps" in block.text).removeprefix("$ ")
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(["featmap", "demo"], cwd=ROOT, env=os.environ | {"PATH": paths}, check=True)
    (folder / "demo").symlink_to(ROOT / "demo")
    subprocess.run(["bash", "-c", command], cwd=folder, env=os.environ | {"PATH": paths}, check=True)


def keep(written: Path, name: str) -> None:
    """Copy a picture in 256 colours."""
    with Image.open(written) as picture:
        few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(PICTURES / name, optimize=True)
    print(f"{PICTURES.relative_to(ROOT) / name}: {(PICTURES / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
