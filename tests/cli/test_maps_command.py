"""`featmap maps`: sheets and arrays of one or several layers and pictures, and its refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torch import Tensor

from cli import networks
from cli.conftest import picture
from cli.console import featmap
from cli.examples import check_help
from cli.golden import check
from featmap.run.program.program import Program
from featmap.view import progress

SMALL = "cli.networks:Small"


def oracle(*pictures: Image.Image) -> dict[str, Tensor]:
    """The same maps from the running module itself."""
    module = networks.Small().eval()
    values = torch.stack([torch.from_numpy(np.asarray(each, dtype=np.float32) / 255) for each in pictures])
    with torch.no_grad():
        z = module.norm(module.stem(values.permute(0, 3, 1, 2)))
        grouped = module.grouped(torch.relu(z))
        added = torch.relu(grouped + torch.relu(z))
    return {"stem:z": z, "stem:a": torch.relu(z), "grouped:z": grouped, "add:a": added}


def written(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".safetensors":
        return load_file(path)
    with np.load(path) as arrays:
        return dict(arrays)


def test_help_and_its_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_help("maps")


def test_text(place: Path) -> None:
    ended = featmap(f"maps {SMALL} cat.png --layer stem:z --layer add -o maps.npz")
    assert (ended.code, ended.err) == (0, "wrote maps.npz\n")
    check("maps", ended.out)


def test_json(place: Path) -> None:
    ended = featmap(f"maps {SMALL} cat.png grey.png --layer stem:z -o maps.npz --json")
    assert (ended.code, ended.err) == (0, "wrote maps.npz\n")
    document = json.loads(ended.out)
    assert document["files"] == ["maps.npz"]
    (maps,) = document["maps"]
    assert (maps["address"], maps["shape"], maps["images"]) == ("stem:z", [2, 4, 12, 16], ["cat.png", "grey.png"])
    assert maps["mean"] == pytest.approx(float(written(place / "maps.npz")["stem:z"].mean()), abs=1e-6)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_arrays_are_those_of_the_module_under_full_addresses(place: Path, suffix: str) -> None:
    layers = "--layer stem:z --layer stem --layer grouped:z --layer add"
    assert featmap(f"maps {SMALL} cat.png grey.png {layers} -o maps.{suffix}").code == 0
    arrays = written(place / f"maps.{suffix}")
    expected = oracle(picture(), Image.open(place / "grey.png").convert("RGB"))
    assert list(arrays) == sorted(expected) if suffix == "safetensors" else list(expected)
    for address, values in expected.items():
        np.testing.assert_allclose(arrays[address], values.numpy(), atol=1e-6)


def test_without_layers_every_layer_is_written(place: Path) -> None:
    assert featmap(f"maps {SMALL} cat.png -o maps.npz").code == 0
    assert set(written(place / "maps.npz")) == {"stem:a", "grouped:z", "add:a"}


def test_weights_of_a_file(place: Path) -> None:
    for weights in ("doubled.safetensors", "small.pt"):
        ended = featmap(f"maps {SMALL} cat.png --layer grouped:z --weights {weights} -o {weights}.npz")
        assert f"weights: {weights}\n" in ended.out
    doubled, small = (written(place / f"{name}.npz")["grouped:z"] for name in ("doubled.safetensors", "small.pt"))
    np.testing.assert_allclose(small, oracle(picture())["grouped:z"].numpy(), atol=1e-6)
    assert not np.allclose(doubled, small)


def test_a_file_of_an_exported_program(place: Path) -> None:
    assert featmap("maps small.pt2 cat.png --layer stem -o maps.npz").code == 0
    np.testing.assert_allclose(written(place / "maps.npz")["stem:a"], oracle(picture())["stem:a"].numpy(), atol=1e-6)


def test_a_grey_network_takes_colours_and_a_colour_network_grey(place: Path) -> None:
    assert featmap("maps cli.networks:Grey cat.png grey.png -o maps.npz").code == 0
    colour, grey = written(place / "maps.npz")["0:a"]
    np.testing.assert_array_equal(colour, grey)
    assert featmap(f"maps {SMALL} grey.png alpha.png 'my photos/the cat.JPG' -o maps.npz").code == 0


def titles(*paths: Path) -> list[str]:
    return [Image.open(path).text["Title"] for path in paths]


def test_a_sheet(place: Path) -> None:
    ended = featmap(f"maps {SMALL} cat.png --layer stem -o 'all maps.PNG'")
    assert (ended.code, ended.err) == (0, "wrote all maps.PNG\n")
    assert titles(place / "all maps.PNG") == ["stem:a"]


def test_every_image_of_every_layer_has_its_page(place: Path) -> None:
    ended = featmap(f"maps {SMALL} cat.png grey.png --layer stem --layer grouped:z -o maps.png")
    names = [f"maps-{layer}-{page}.png" for layer in ("stem-a", "grouped-z") for page in (1, 2)]
    assert ended.err == "".join(f"wrote {name}\n" for name in names)
    assert titles(*(place / name for name in names)) == [
        "stem:a, cat.png",
        "stem:a, grey.png",
        "grouped:z, cat.png",
        "grouped:z, grey.png",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "in the order of their channels"),
        ("--sort maximum", "sorted by maximum, largest first"),
        ("--sort mean", "sorted by mean, largest first"),
        ("--sort positive", "sorted by fraction of positive values, largest first"),
        ("--scale shared", "all maps share one colour scale"),
    ],
)
def test_order_and_scale_are_said_in_the_picture(place: Path, options: str, said: str) -> None:
    assert featmap(f"maps {SMALL} cat.png --layer stem:z -o maps.png {options}").code == 0
    assert said in Image.open(place / "maps.png").text["Description"]


def test_page_size(place: Path) -> None:
    ended = featmap("maps cli.networks:Grey cat.png --page-size 8 -o maps.png")
    assert ended.err == "wrote maps-1.png\nwrote maps-2.png\nwrote maps-3.png\n"


def test_options_may_stand_in_any_order(place: Path) -> None:
    one = featmap(f"maps -o maps.npz --layer stem {SMALL} cat.png --json grey.png")
    other = featmap(f"maps {SMALL} cat.png grey.png --json --layer stem --output maps.npz")
    assert one == other
    assert one.code == 0


def test_long_work_shows_its_progress_on_standard_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0)
    ended = featmap(f"maps {SMALL} {'cat.png ' * 20} --layer stem -o maps.npz --json")
    assert json.loads(ended.out)["maps"][0]["shape"][0] == 20
    assert "feature maps" in ended.err
    assert "20/20" in ended.err


ONE_OF = "Use one of index, maximum, mean, positive."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "-o maps.jpg",
            "'maps.jpg' ends in '.jpg'; feature maps are written as .png, .npz or .safetensors.\n\nUse 'maps.png'.\n",
        ),
        (
            "-o maps",
            "'maps' has no suffix; feature maps are written as .png, .npz or .safetensors.\n\nUse 'maps.png'.\n",
        ),
        (
            "-o none/maps.png",
            "'none/maps.png': there is no folder 'none'.\n\nCreate the folder, or choose another path.\n",
        ),
        ("-o cat.png", "'cat.png' is the picture itself; it would be overwritten.\n\nChoose another file.\n"),
        (
            "-o maps.png --sort max",
            f"Feature maps cannot be sorted by 'max'.\n\n{ONE_OF} The nearest names are maximum, mean.\n",
        ),
        (
            "-o maps.png --scale layer",
            "There is no colour scale 'layer'.\n\n"
            "Use 'map' for a scale of its own per map, or 'shared' for one scale.\n",
        ),
        ("-o maps.png --page-size 0", "A page cannot hold 0 maps.\n\nUse a page size of at least 1.\n"),
        (
            "-o maps.npz --sort mean",
            "'maps.npz' takes the maps as they are; order, scale, page size and plane are those of pictures.\n\n"
            "Leave them out, or use 'maps.png'.\n",
        ),
        (
            "-o maps.npz --layer stem:z/3",
            "--layer 'stem:z/3' names one map; all maps of a layer are written.\n\n"
            "Write --layer stem:z. One map or value is taken apart by `featmap explain`.\n",
        ),
        (
            "-o maps.npz --device gpu",
            "--device 'gpu' is not a device.\n\nName cpu, cuda, cuda:1, mps or xpu, or leave it out.\n",
        ),
    ],
)
def test_what_cannot_be_asked_is_said_before_any_work(place: Path, words: str, message: str) -> None:
    before = sorted(path.name for path in place.iterdir())
    for model in (SMALL, "not.looked:at"):
        ended = featmap(f"maps {model} cat.png {words}")
        assert (ended.code, ended.out, ended.err) == (2, "", message)
    assert sorted(path.name for path in place.iterdir()) == before


def test_a_picture_in_a_folder_of_pictures_is_not_overwritten(place: Path) -> None:
    (place / "photos").mkdir()
    shutil.copy("cat.png", "photos/cat.png")
    ended = featmap(f"maps {SMALL} photos -o photos/cat.png")
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        "'photos/cat.png' is a file in the folder 'photos' of pictures; it would be overwritten.\n\n"
        "Choose another file.\n",
    )
    assert featmap(f"maps {SMALL} photos -o photos/maps.npz --layer stem:a").code == 0


def test_a_device_that_is_not_there(place: Path) -> None:
    ended = featmap(f"maps {SMALL} cat.png -o maps.npz --device cuda:99")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("--device 'cuda:99' cannot be used on this machine: ")
    assert ended.err.endswith(".\n\nLeave --device out, or name another.\n")


def interrupt(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


def interrupt_second_write(monkeypatch: pytest.MonkeyPatch) -> None:
    write: Callable[[Path, bytes], int] = Path.write_bytes
    calls: list[Path] = []

    def interrupted(path: Path, content: bytes) -> int:
        calls.append(path)
        if len(calls) == 2:
            write(path, content[:10])
            raise KeyboardInterrupt
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", interrupted)


@pytest.mark.parametrize("moment", ["running", "writing"])
def test_an_interrupt_leaves_nothing_half_written(place: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    before = {path.name for path in place.iterdir()}
    if moment == "running":
        monkeypatch.setattr(Program, "run", interrupt)
    else:
        interrupt_second_write(monkeypatch)
    ended = featmap(f"maps {SMALL} cat.png grey.png --layer stem -o maps.png")
    assert (ended.code, ended.out, ended.err) == (130, "", "")
    assert {path.name for path in place.iterdir()} == before
