"""The formats and limits of pictures, and that every entry point reads a picture in the same way."""

from __future__ import annotations

import io
import struct
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, PngImagePlugin, features
from torch import Tensor, nn

import featmap as fm
from featmap.errors import ImageBroken, ImageError, ImageTooLarge
from featmap.images import formats, pictures
from featmap.images.pictures import PictureConverted, picture_in, read_picture

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n{} loop\nshowpage\n"
NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3)).astype(np.uint8))


@pytest.fixture
def net() -> fm.Network:
    torch.manual_seed(0)
    return fm.trace(NETWORK, (3, 16, 16))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *[("p.jpg", "JPEG"), ("p.png", "PNG"), ("p.webp", "WEBP"), ("p.gif", "GIF"), ("p.tif", "TIFF")],
        *[("p.bmp", "BMP"), ("p.ppm", "PPM"), ("p.jp2", "JPEG2000"), ("p.avif", "AVIF")],
    ],
)
def test_every_format_of_the_list_is_opened(tmp_path: Path, name: str, form: str) -> None:
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    path = tmp_path / name
    picture().save(path, form)
    with Image.open(path) as opened:
        assert np.array_equal(np.asarray(read_picture(path).convert("RGB")), np.asarray(opened.convert("RGB")))
    assert form in formats.FORMATS
    assert formats.is_named_picture(path)


def test_an_eps_is_refused_before_pillow_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("opened"))
    for name in ("p.eps", "p.png"):
        (tmp_path / name).write_bytes(EPS)
        with pytest.raises(ImageBroken) as caught:
            read_picture(tmp_path / name)
        assert str(caught.value) == (
            f"'{tmp_path / name}' is EPS or PostScript, which is a program; featmap opens only what is decoded without "
            f"running it.\n\nGive a file of {formats.WORDS}."
        )


def test_an_eps_that_a_user_opened_is_not_run(net: fm.Network, tmp_path: Path) -> None:
    (tmp_path / "p.eps").write_bytes(EPS)
    with Image.open(tmp_path / "p.eps") as opened, pytest.raises(ImageBroken, match="is a program that loading runs"):
        net.maps(opened, "0:z")


@pytest.mark.parametrize("form", ["ICO", "TGA", "PCX", "SGI", "DDS", "PDF", "ICNS"])
def test_other_formats_are_refused(form: str) -> None:
    held = io.BytesIO()
    picture().resize((16, 16)).save(held, form)
    with pytest.raises(ImageBroken):
        picture_in(io.BytesIO(held.getvalue()), "x")


def test_more_bytes_than_the_limit_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    with path.open("wb") as file:
        file.truncate(formats.LARGEST_BYTES + 1)
    with pytest.raises(ImageTooLarge, match=r"has 1,073,741,825 bytes; featmap reads pictures of up to 1,073,741,824"):
        read_picture(path)


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    held = io.BytesIO()
    picture().save(held, "JPEG", progressive=True)
    data = held.getvalue()
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert picture_in(io.BytesIO(data), "x").size == (30, 20)
    with pytest.raises(ImageTooLarge, match=r"'x' is a JPEG of \d+ scans; featmap decodes up to 100"):
        picture_in(io.BytesIO(data[:-2] + scan * 200 + data[-2:]), "x")


def test_a_decoder_that_asks_for_bytes_after_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    held = io.BytesIO()
    picture().save(held, "PNG")
    monkeypatch.setattr(formats, "LONGEST_S", -1.0)
    with pytest.raises(ImageTooLarge, match="'x' takes longer than -1 s to read"):
        picture_in(held, "x")


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG2000", "TIFF"])
def test_a_decoder_that_asks_for_nothing_is_told_when_it_has_ended(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = io.BytesIO()
    picture().save(held, form)

    def upright(picture: Image.Image, name: str) -> Image.Image:
        picture.load()
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            pass
        return picture

    monkeypatch.setattr(formats, "LONGEST_S", 0.25)
    assert picture_in(held, "x").size == (30, 20)
    monkeypatch.setattr(pictures, "upright", upright)
    with pytest.raises(ImageTooLarge) as raised:
        picture_in(held, "x")
    assert str(raised.value) == (
        "'x' takes longer than 0.25 s to read; it may have been made to.\n\nSave the picture again, or smaller."
    )


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_sound_png_with_much_text_is_read(tmp_path: Path, place: str, packed: bool) -> None:
    path = tmp_path / "p.png"
    texts = PngImagePlugin.PngInfo()
    for number in range(3):
        texts.add_text(
            f"text {number}",
            "a" * (40_000_000 if not packed else 3_000_000),
            zip=packed,
        )
    texts.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta tiff:Orientation="6"/>' + " " * 3_000_000, zip=True)
    picture().save(path, pnginfo=texts)
    if place == "after":
        path.write_bytes(_texts_last(path.read_bytes()))
    assert np.array_equal(np.asarray(read_picture(path)), np.rot90(np.asarray(picture()), -1))


def _texts_last(data: bytes) -> bytes:
    parts, at = [], 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        parts.append(data[at : at + size + 12])
        at += size + 12
    is_text = [part[4:8] in (b"tEXt", b"zTXt", b"iTXt") for part in parts]
    texts = [part for part, text in zip(parts, is_text, strict=True) if text]
    rest = [part for part, text in zip(parts, is_text, strict=True) if not text]
    return data[:8] + b"".join([*rest[:-1], *texts, rest[-1]])


def test_a_damaged_png_with_much_text_is_damaged(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("text", "a" * 3_000_000, zip=True)
    picture().save(tmp_path / "p.png", pnginfo=texts)
    data = bytearray((tmp_path / "p.png").read_bytes())
    data[data.index(b"IDAT") + 20] ^= 0xFF
    with pytest.raises(ImageBroken):
        picture_in(io.BytesIO(bytes(data)), "x")


def _every_door(net: fm.Network, path: Path) -> list[Tensor]:
    """What the network is given by each door: a path, a picture in memory, a list."""
    with Image.open(path) as opened:
        in_memory = net.maps(opened, "0:z")["0:z"].values
    return [net.maps(path, "0:z")["0:z"].values, in_memory, net.maps([str(path)], "0:z")["0:z"].values]


@pytest.mark.parametrize("form", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_the_same_by_every_door(
    net: fm.Network, tmp_path: Path, orientation: int, form: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"p.{form}"
    picture().save(path, exif=exif)
    with Image.open(path) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        opened_again = Image.open(path)
        shown = fm.Index.build(net, [opened_again], tmp_path / "memory.fmi", progress=False)
    expected = net.maps(upright, "0:z")["0:z"].values
    for found in _every_door(net, path):
        assert torch.equal(found, expected)
    by_path = fm.Index.build(net, [path], tmp_path / "path.fmi", progress=False)
    best = float(expected[0, 0].clamp(min=0).max())
    for index in (shown, by_path):
        assert index.top("0/0", k=1).examples[0].value == pytest.approx(best, abs=1e-6)
    for given in (path, opened_again):
        assert net.sheet(given, "0:z", [0]).examples[0][0].value == pytest.approx(float(expected[0, 0].max()), abs=1e-6)


def test_a_users_picture_stays_as_it_is(tmp_path: Path, net: fm.Network) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "p.jpg"
    picture().save(path, exif=exif)
    with Image.open(path) as opened:
        net.maps(opened, "0:z")
        assert opened.size == (30, 20)
        assert opened.getexif()[0x0112] == 6


def _said(path: Path) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_picture(path)
    assert all(entry.category is PictureConverted for entry in caught)
    return [str(entry.message) for entry in caught]


def test_what_is_not_used_of_a_picture_is_said(tmp_path: Path) -> None:
    clear = picture().convert("RGBA")
    clear.putpixel((3, 3), (1, 2, 3, 0))
    transparent = "of some pictures transparency is left out, and what is below it is seen"
    deep = "of some pictures 16 bits per value are rounded to 8"
    inks = "of some pictures the inks of CMYK become red, green and blue by a plain formula, without a colour profile"
    path = tmp_path / "p.png"
    for made, expected in (
        (picture(), []),
        (picture().convert("RGBA"), []),
        (picture().quantize(16), []),
        (clear, [transparent]),
        (clear.convert("LA"), [transparent]),
        (Image.fromarray(np.zeros((4, 4), np.uint16)), [deep]),
    ):
        made.save(path)
        assert _said(path) == expected
    picture().quantize(16).save(path, transparency=bytes([0]))
    assert _said(path) == [transparent]
    picture().convert("CMYK").save(tmp_path / "p.tif")
    assert _said(tmp_path / "p.tif") == [inks]


def test_every_refusal_is_an_image_error() -> None:
    generator = np.random.default_rng(0)
    for signature in (b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"BM", b"P6\n", b"\0\0\0\x0cjP  ", b"RIFF....WEBP"):
        with pytest.raises(ImageError):
            picture_in(io.BytesIO(signature + generator.bytes(200)), "x")
