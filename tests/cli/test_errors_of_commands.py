"""Wrong questions end with 2 and a message that says what to do; failed work with 1 and one line."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.console import featmap

SMALL = "cli.networks:Small"
MODELS = "A model is torchvision:NAME, timm:NAME, package.module:callable or a file made by torch.export (.pt2)."
ADDRESSES = "An address is LAYER, LAYER#n, LAYER:STAGE, LAYER:STAGE/CHANNEL or LAYER:STAGE/CHANNEL@ROW,COLUMN."

FORMATS = "Give a file of JPEG, PNG, WebP, GIF, TIFF, BMP, PNM, JPEG 2000 or AVIF.\n"


def refused(line: str) -> str:
    """The message of a command that ends with 2 and prints no answer."""
    ended = featmap(line)
    assert (ended.code, ended.out) == (2, "")
    return ended.err


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "torchvision:resnet51",
            "torchvision has no model 'resnet51'.\n\nThe nearest names are resnet50, resnet18, resnet152.\n",
        ),
        ("no.such.module:Small", f"There is no Python module 'no.such.module'.\n\n{MODELS}\n"),
        (
            "cli.networks:Smal",
            "The module 'cli.networks' has no 'Smal'.\n\nThe nearest names are Small.\n",
        ),
        ("none.pt2", "There is no file 'none.pt2'.\n\nGive the path of a file made by torch.export.save.\n"),
        ("junk.pt2", "'junk.pt2' is not a program that torch.export saved.\n\nExport it again.\n"),
        ("small.pt", f"'small.pt' is not a file that featmap reads as a model.\n\n{MODELS}\n"),
        (
            "cli.networks:AnySize",
            "'cli.networks:AnySize' does not say what input it takes.\n\nGive the input shape (--input CxHxW).\n",
        ),
    ],
)
def test_models_that_are_none(place: Path, model: str, message: str) -> None:
    assert refused(f"plan {model}") == message
    assert refused(f"maps {model} cat.png -o maps.npz") == message
    assert not (place / "maps.npz").exists()


def test_nearest_models_of_timm() -> None:
    assert refused("plan timm:resnet51").startswith("timm has no model 'resnet51'.\n\nThe nearest names are resnet")


def test_a_callable_that_makes_no_module() -> None:
    message = refused("plan cli.networks:number")
    assert re.fullmatch(r"'cli\.networks:number' gave an? int, not a torch\.nn\.Module\.\n\nName a module.*\n", message)


def test_a_name_without_prefix() -> None:
    message = refused("plan resnet50")
    assert message.startswith("'resnet50' names no model.\n\n")
    assert MODELS in message


def test_a_prefix_that_is_none() -> None:
    message = refused("plan torchvison:resnet50")
    assert message.startswith("There is no Python module 'torchvison'.\n\n")
    assert MODELS in message


def test_a_model_that_branches_on_values() -> None:
    source = Path(__file__).with_name("networks.py").read_text().split("\n")
    line = next(number for number, text in enumerate(source, 1) if "y.sum() > 0" in text)
    assert refused("plan cli.networks:Branching") == (
        "the forward of Branching branches on values of a tensor, so it is not a single graph.\n"
        f"  networks.py:{line}: if y.sum() > 0:\n\n"
        "Decide it without looking at values (torch.where, masks), or trace the parts separately.\n"
    )


@pytest.mark.parametrize("shape", ["3x224x", "3,224,224", "3x0x224", "1x2x3x4x5", "threexfourxfive", ""])
def test_input_shapes_that_are_none(shape: str) -> None:
    for command in ("plan", "field"):
        assert refused(f"{command} {SMALL} {'stem' * (command == 'field')} --input '{shape}'") == (
            f"--input '{shape}' is not an input shape.\n\n"
            "Write channels x rows x columns, for example --input 3x224x224; channels x positions for a signal.\n"
        )


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "stemm",
            "'stemm': the network has no layer 'stemm'.\n\n"
            "The nearest names are stem. `featmap plan` lists all layers.\n",
        ),
        (
            "grouped:a",
            "'grouped' has no activation of its own: its maps are added to a shortcut first.\n\n"
            "Ask for grouped:z for its maps as they are, or add for the sum after ReLU.\n",
        ),
        (
            "pool:conv",
            "'pool:conv': 'pool' is a pool (max_pool2d); it has no weighted sum of its own.\n\nAsk for pool.\n",
        ),
        (
            "stem:y",
            f"'stem:y': 'y' is not a stage; the stages are conv, z and a.\n\n{ADDRESSES}\n",
        ),
        (
            "stem/4",
            "'stem:a/4': there is no channel 4; stem:a has 4 feature maps.\n\nAsk for a channel from 0 to 3.\n",
        ),
        (
            "stem/0@12,16",
            "'stem:a/0@12,16': there is no unit at row 12, column 16; the feature map has 12 rows and 16 columns.\n\n"
            "Ask for a row from 0 to 11 and a column from 0 to 15.\n",
        ),
        (
            "stem#2",
            "'stem#2': 'stem' is called 1 time, there is no #2.\n\nAsk for stem#1.\n",
        ),
        (
            "stem/0@1",
            "'stem:a/0@1': a unit of these feature maps, 12 rows and 16 columns, has 2 numbers, @ROW,COLUMN; got 1 "
            "number.\n\nWrite @0,0 for the first, @11,15 for the last.\n",
        ),
        ("stem/-1", f"'stem/-1': '-1' is not a channel number (0, 1, 2 ...).\n\n{ADDRESSES}\n"),
        ("stem@1,2", f"'stem@1,2' names a unit but no channel.\n\n{ADDRESSES}\n"),
        ("/3", f"'/3' is not a valid address.\n\n{ADDRESSES}\n"),
    ],
)
def test_addresses_that_name_nothing(place: Path, address: str, message: str) -> None:
    assert refused(f"field {SMALL} {address}") == message
    if "@" in address:
        assert refused(f"explain {SMALL} cat.png {address}") == message
    if "/" not in address:
        assert refused(f"maps {SMALL} cat.png --layer {address} -o maps.npz") == message


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            "none.png",
            f"There is no image 'none.png'.\n\n{FORMATS}",
        ),
        (
            "'my photos'",
            f"'my photos' is a folder, not an image.\n\n{FORMATS}",
        ),
        (
            "words.png",
            "'words.png' is not an image that featmap can read.\n\n"
            "Give a file of JPEG, PNG, WebP, GIF, TIFF, BMP, PNM, JPEG 2000 or AVIF.\n",
        ),
        (
            "bomb.png",
            "'bomb.png' claims 2,500,000,000 pixels; featmap opens up to 178,956,970, because such files may be made "
            "to fill the memory.\n\nScale the picture down first.\n",
        ),
        ("cut.png", "'cut.png' is damaged: REASON.\n\nCopy or download the picture again.\n"),
    ],
)
def test_images_that_are_none(place: Path, image: str, message: str) -> None:
    commands = (
        f"maps {SMALL} cat.png {image} -o maps.npz",
        f"explain {SMALL} {image} stem/0@1,2",
        f"field {SMALL} stem/0@1,2 --image {image} -o box.png",
    )
    # Several pictures are maps of each; the other questions are about one.
    for line in commands[image == "'my photos'" :]:
        assert re.sub(r"damaged: .*\.\n", "damaged: REASON.\n", refused(line)) == message
    assert not (place / "maps.npz").exists()
    assert not (place / "box.png").exists()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            "none.safetensors",
            "There is no weights file 'none.safetensors'.\n\nGive the path of a .safetensors, .pt or .pth file.\n",
        ),
        ("DEFAULT", "There is no weights file 'DEFAULT'.\n\nGive the path of a weights file.\n"),
        (
            "'of another.pth'",
            "'of another.pth' holds the weights of another network; 14 of its tensors do not fit:\n"
            "  missing in the file: stem.weight (4, 3, 3, 3)\n"
            "  missing in the file: stem.bias (4)\n"
            "  missing in the file: norm.weight (4)\n"
            "  missing in the file: norm.bias (4)\n"
            "  missing in the file: norm.running_mean (4)\n"
            "  missing in the file: norm.running_var (4)\n"
            "  missing in the file: grouped.weight (4, 2, 3, 3)\n"
            "  missing in the file: grouped.bias (4)\n"
            "  not in the network: 0.weight (2, 3, 5, 5)\n"
            "  not in the network: 0.bias (2)\n"
            "  ... and 4 more\n\n"
            "Give the weights of this network, or the network of these weights.\n",
        ),
        (
            "'whole module.pt'",
            "'whole module.pt' holds more than tensors: reading it would execute cli.networks.Small.\n\n"
            "Save it as .safetensors or as a plain state dict, or pass --trust if you know where it comes from.\n",
        ),
    ],
)
def test_weights_that_do_not_serve(place: Path, weights: str, message: str) -> None:
    assert refused(f"maps {SMALL} cat.png -o maps.npz --weights {weights}") == message
    assert refused(f"plan {SMALL} --weights {weights}") == message


def test_weights_that_are_no_weights(place: Path) -> None:
    message = refused(f"plan {SMALL} --weights junk.safetensors")
    assert message.startswith("'junk.safetensors' is not a readable safetensors file.\n\n")


def test_trust_unpickles(place: Path) -> None:
    assert featmap(f"plan {SMALL} --weights 'whole module.pt' --trust").code == 0


def test_a_program_that_brings_its_weights(place: Path) -> None:
    assert refused("plan small.pt2 --weights small.pt") == (
        "'small.pt2' brings its own weights.\n\nLeave --weights out.\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        "plan",
        f"plan {SMALL} more",
        f"plan {SMALL} --nonsense",
        f"field {SMALL}",
        f"maps {SMALL} cat.png",
        f"maps {SMALL} -o maps.npz",
        f"maps {SMALL} cat.png -o maps.png --page-size many",
        f"explain {SMALL} cat.png",
        "demo more",
    ],
)
def test_lines_that_cannot_be_read(line: str) -> None:
    assert f"Usage: featmap {line.split()[0]}" in refused(line)


def test_failed_work_is_one_line_and_ends_with_1() -> None:
    ended = featmap("plan cli.networks:broken")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "RuntimeError: two lines (--debug shows where)\n"


def test_debug_shows_the_traceback() -> None:
    ended = featmap("--debug plan cli.networks:broken")
    assert (ended.code, ended.out) == (1, "")
    assert "Traceback (most recent call last)" in ended.err
    assert "networks.py" in ended.err


def test_torch_adds_nothing_to_the_messages() -> None:
    """Some of what torch says goes past the streams of this process, so the process is another one."""
    lines = ["plan cli.networks:Branching", "plan cli.networks:Headed --input 3x20x20"]
    code = (
        "import sys\nfrom featmap.cli import main\n"
        "for line in sys.argv[1:]:\n    try:\n        main(line.split())\n    except SystemExit:\n        pass\n"
    )
    folder = str(Path(__file__).parents[1])
    ended = subprocess.run(
        [sys.executable, "-c", code, *lines], capture_output=True, text=True, check=False, cwd=folder
    )
    assert ended.returncode == 0
    assert ended.stderr == "".join(featmap(line).err for line in lines)


def test_an_interrupt_from_outside(place: Path) -> None:
    place.joinpath("slow.py").write_text(
        "import pathlib, time\n\n\ndef built():\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n\n\n"
        "built.input_shape = (3, 12, 16)\n"
    )
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\nfrom featmap.cli import main; main()"
    )
    line = [sys.executable, "-c", code, *["maps", "slow:built", "cat.png", "-o", "maps.png"]]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + 60
        while not (place / "begun").exists() and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")
    assert not list(place.glob("*maps*"))
