"""Pictures: every kind of image gives the values of its pixels; errors for anything else, with their full text."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import featmap as fm
from featmap.errors import ImageBroken, ImageError, ImageMissing, ImageTooLarge, InputError
from featmap.images.formats import WORDS
from featmap.images.inputs import Batch, batch_of
from featmap.images.pictures import LARGEST_PIXELS, PictureConverted, picture_in, read_picture

HEIGHT, WIDTH = 6, 9

GIVE = "Give a picture, a folder, a list (.csv, .tsv, .txt), a tar file or a glob."


def network(channels: int = 3, height: int = HEIGHT, width: int = WIDTH) -> fm.Network:
    """A network that takes pictures as they are: no resize, no crop, values of 0 to 1."""
    return fm.trace(nn.Conv2d(channels, 2, 3), (channels, height, width), preprocessing=fm.Preprocessing())


def batch(images: Any, channels: int = 3) -> Batch:
    return batch_of(network(channels)._captured, images)


def pixels(channels: int = 3) -> np.ndarray[Any, Any]:
    values = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, channels))
    return values.astype(np.uint8)


def rgb_values(array: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32) / 255).permute(2, 0, 1)[None]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_a_file_gives_its_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(pixels()).save(path, lossless=True)
    found = batch(path)
    assert torch.equal(found.values, rgb_values(pixels()))
    assert found.names == (str(path),)
    assert torch.equal(batch(str(path)).values, found.values)


def test_a_jpeg_gives_what_pillow_decodes(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpeg"
    Image.fromarray(pixels()).save(path)
    with Image.open(path) as picture:
        assert torch.equal(batch(path).values, rgb_values(np.asarray(picture)))


def test_pictures_arrays_and_lists_of_them_are_the_same_images(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(pixels()).save(path)
    picture, array = Image.fromarray(pixels()), pixels()
    expected = rgb_values(pixels())
    for images, names in (
        (picture, ("picture",)),
        (array, ("array",)),
        (array / 255, ("array",)),
        ([path, picture, array], (str(path), "image 1", "image 2")),
        ((str(path),), (str(path),)),
    ):
        found = batch(images)
        assert torch.equal(found.values, expected.expand(len(names), -1, -1, -1))
        assert found.names == names
    with Image.open(path) as opened:
        assert batch(opened).names == (str(path),)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_obeyed(tmp_path: Path, orientation: int) -> None:
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda a: np.rot90(a),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "picture.png"
    Image.fromarray(pixels()).save(path, exif=exif)
    assert np.array_equal(np.asarray(read_picture(path)), turns[orientation](pixels()))


def grey(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.repeat(array[..., None], 3, axis=2)


def test_grey_pictures_become_three_equal_channels_or_one(tmp_path: Path) -> None:
    array = pixels(1)[..., 0]
    path = tmp_path / "grey.png"
    Image.fromarray(array).save(path)
    for images in (path, array, array[..., None]):
        assert torch.equal(batch(images).values, rgb_values(grey(array)))
        assert torch.equal(batch(images, channels=1).values, rgb_values(grey(array))[:, :1])


@pytest.mark.filterwarnings("ignore::featmap.images.pictures.PictureConverted")
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_pictures_are_scaled_and_not_cut_off(tmp_path: Path, suffix: str) -> None:
    array = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 1200
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(array).save(path)
    expected = np.round(array / 257).astype(np.uint8)
    assert expected.max() > 200
    assert torch.equal(batch(path, channels=1).values, rgb_values(grey(expected))[:, :1])
    with Image.open(path) as picture:
        assert torch.equal(batch(picture, channels=1).values, rgb_values(grey(expected))[:, :1])


def test_pictures_of_floats_are_scaled_and_others_refused(tmp_path: Path) -> None:
    array = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    path = tmp_path / "float.tiff"
    Image.fromarray(array).save(path)
    expected = np.round(array * 255).astype(np.uint8)
    assert torch.equal(batch(path).values, rgb_values(grey(expected)))
    Image.fromarray(array * 1000).save(path)
    with pytest.raises(InputError) as caught:
        batch(path)
    assert caught.value.problem == "An array of float32 with values from 0 to 1000 is not a picture."


@pytest.mark.filterwarnings("ignore::featmap.images.pictures.PictureConverted")
def test_transparency_is_left_out_and_palettes_are_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(pixels(4)).save(path)
    assert torch.equal(batch(path).values, rgb_values(pixels(4)[..., :3]))
    palette = Image.fromarray(pixels()).quantize(16)
    palette.save(path, transparency=bytes([0, 128, 255]))
    expected = rgb_values(np.asarray(palette.convert("RGB")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", PictureConverted)
        assert torch.equal(batch(path).values, expected)


@pytest.mark.filterwarnings("ignore::featmap.images.pictures.PictureConverted")
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "LAB"])
def test_every_mode_of_pillow_is_that_of_pillows_own_conversion(mode: str) -> None:
    picture = Image.fromarray(pixels())
    # Pillow has no way from RGB to these two.
    without_way = {"LA": picture.convert("L").convert("LA"), "LAB": Image.new("LAB", (WIDTH, HEIGHT), (120, 30, 200))}
    picture = without_way[mode] if mode in without_way else picture.convert(mode)
    assert torch.equal(batch(picture).values, rgb_values(np.asarray(picture.convert("RGB"))))


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def refused(images: Any, kind: type[ImageError | InputError]) -> ImageError | InputError:
    with pytest.raises(kind) as caught:
        batch(images)
    assert type(caught.value) is kind
    assert caught.value.exit_code == 2
    return caught.value


def test_a_missing_image(tmp_path: Path) -> None:
    remedy = "Give a file of JPEG, PNG, WebP, GIF, TIFF, BMP, PNM, JPEG 2000 or AVIF."
    path = tmp_path / "none.png"
    assert str(refused([path], ImageMissing)) == f"There is no image '{path}'.\n\n{remedy}"
    with pytest.raises(ImageMissing) as caught:
        read_picture(tmp_path)
    assert str(caught.value) == f"'{tmp_path}' is a folder, not an image.\n\n{remedy}"
    assert str(refused(path, ImageMissing)) == (f"There is no image '{path}'.\n\n{GIVE}")


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    assert str(refused(path, ImageBroken)) == (
        f"'{path}' is not an image that featmap can read.\n\nGive a file of {WORDS}."
    )


@pytest.mark.parametrize("suffix", ["jpeg", "png"])
def test_a_truncated_image(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    error = refused(path, ImageBroken)
    assert error.problem.startswith(f"'{path}' is damaged: image file is truncated")
    assert error.remedy == "Copy or download the picture again."
    with Image.open(path) as picture:
        assert refused(picture, ImageBroken).problem.startswith(f"'{path}' is damaged: image file is truncated")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (14_000, 14_000)])
def test_a_decompression_bomb(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(width, height))
    assert str(refused(path, ImageTooLarge)) == (
        f"'{path}' claims {width * height:,} pixels; featmap opens up to {LARGEST_PIXELS:,}, because such files may be "
        "made to fill the memory.\n\nScale the picture down first."
    )


def test_one_broken_image_among_many_is_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(pixels()).save(good)
    bad.write_bytes(b"bad")
    assert f"'{bad}'" in refused([good, bad, good], ImageBroken).problem


@pytest.mark.parametrize("shape", [(3, 6, 9), (6, 9, 2), (6, 9, 5), (2, 6, 9, 3), (6,), (0, 9, 3)])
def test_arrays_of_the_wrong_shape(shape: tuple[int, ...]) -> None:
    assert str(refused(np.zeros(shape, np.uint8), InputError)) == (
        f"An array of shape {shape} is not a picture.\n\nGive (row, column) or (row, column, channel)."
    )


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.full((6, 9, 3), 200), "int64 with values from 200 to 200"),
        (np.full((6, 9, 3), 1.5), "float64 with values from 1.5 to 1.5"),
        (np.full((6, 9, 3), -0.5, np.float32), "float32 with values from -0.5 to -0.5"),
        (np.full((6, 9, 3), np.nan), "float64 with values from nan to nan"),
        (np.full((6, 9, 3), True), "bool with values from 1 to 1"),
    ],
)
def test_arrays_of_the_wrong_values(array: np.ndarray[Any, Any], what: str) -> None:
    assert str(refused(array, InputError)) == (
        f"An array of {what} is not a picture.\n\n"
        "Give bytes (0 to 255) or floats from 0 to 1; for preprocessed values give a float tensor."
    )


@pytest.mark.parametrize("images", [[None], [{"a": 1}], iter([3])])
def test_lists_of_what_is_no_image(images: Any) -> None:
    kind = type(images[0]).__name__ if isinstance(images, list) else "int"
    assert str(refused(images, InputError)) == (
        f"A {kind} is not an image.\n\n"
        "Give a path, a PIL image, an array (row, column, channel), a float tensor, or a list of paths."
    )


@pytest.mark.parametrize("images", [None, 3, {"a": 1}])
def test_what_is_no_image_at_all(images: Any) -> None:
    assert str(refused(images, InputError)) == (
        f"A {type(images).__name__} is neither an image nor a set of images.\n\n{GIVE} "
        "Or a PIL image, an array (row, column, channel), a float tensor, or a list or iterable of these."
    )


def test_an_empty_list() -> None:
    assert str(refused([], InputError)) == (
        "There is no image in a list.\n\nGive a picture, a list of pictures, a folder or a tar file with images."
    )


def test_empty_folders_in_a_list_are_named(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abcd"]
    for folder in folders:
        folder.mkdir()
    first = f"There is no image in '{tmp_path}/a'"
    assert refused(folders[:1], InputError).problem == f"{first}."
    assert refused(folders, InputError).problem == f"{first}, '{tmp_path}/b', '{tmp_path}/c' and 1 more."


@pytest.mark.parametrize("channels", [2, 5])
def test_pictures_for_a_network_of_other_channels(channels: int) -> None:
    with pytest.raises(InputError) as caught:
        batch(pixels(), channels)
    assert str(caught.value) == (
        f"Conv2d takes images of {channels} channels; pictures have 1 or 3.\n\n"
        "Give a float tensor (image, channel, row, column)."
    )


@pytest.mark.parametrize("shape", [(1, 4, 6, 9), (6, 9), (1, 1, 3, 6, 9), (0, 3, 6, 9), (3,), (1, 3, 6, 0)])
def test_tensors_of_the_wrong_shape(shape: tuple[int, ...]) -> None:
    assert str(refused(torch.zeros(shape), InputError)) == (
        f"Conv2d takes tensors (image, channel, row, column) with 3 channels; got {shape}.\n\n"
        "Put the axes of the tensor into this order."
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_tensors_of_whole_numbers_are_no_preprocessed_images(dtype: torch.dtype) -> None:
    assert str(refused(torch.zeros((1, 3, HEIGHT, WIDTH), dtype=dtype), InputError)) == (
        f"A tensor of {dtype} is not a preprocessed image.\n\n"
        "Give a float tensor (image, channel, row, column), or bytes as an array (row, column, channel)."
    )


def test_a_tensor_is_taken_as_it_is_also_a_single_image() -> None:
    values = torch.randn(2, 3, HEIGHT, WIDTH)
    assert batch(values).values is values
    assert batch(values).names == ("image 0", "image 1")
    assert torch.equal(batch(values[0]).values, values[:1])


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", [(6, 9), (9, 6)], ids=["wide", "high"])
def test_no_square_no_three_channels(channels: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(channels, 2, 3), nn.ReLU())
    net = fm.trace(module, (channels, *size))
    images = torch.randn(2, channels, *size)
    with torch.no_grad():
        assert torch.allclose(net.maps(images)["0"].values, module(images), atol=1e-6)
    assert net.layers[0].output_shape == (2, size[0] - 2, size[1] - 2)
    assert net.plan()["0"].input_shape == (channels, *size)
    assert net.receptive_field(f"0:a/1@{size[0] - 3},0").box.as_list() == [size[0] - 3, 0, size[0], 3]


@pytest.mark.parametrize("suffix", ["png", "jpeg", "gif", "tiff", "webp", "bmp", "avif", "ico", "dds"])
def test_no_damage_is_another_error_than_a_broken_image(suffix: str) -> None:
    """Cut off, or with bytes that were changed; every reader of Pillow's fails in its own ways."""
    drawn = np.random.default_rng(0)
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels()).save(buffer, suffix)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {suffix}")
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    broken = 0
    for number in range(120):
        changed = data[: drawn.integers(1, len(data)) if number % 3 == 0 else len(data)].copy()
        changed[drawn.integers(0, len(changed), 4)] = drawn.integers(0, 256, 4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                picture_in(io.BytesIO(changed.tobytes()), "x")
            except ImageError:
                broken += 1
    assert broken
