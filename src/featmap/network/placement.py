"""The placement of a picture in the network's input, and the pixels of the picture that a box of the input reads.

A picture is scaled to `resized`, and the input is a window of `size` on it that begins at `top` and `left`: negative
where it is padded, positive where it is cropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from PIL import Image

from featmap.geometry import Box, Interval

Pair = tuple[int, int]
FITS = ("stretch", "crop", "pad")
"""How a picture fits a size of two numbers; `crop` and `pad` keep its aspect ratio."""
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "nearest-exact": Image.Resampling.NEAREST,
}
_REACH = {
    Image.Resampling.BILINEAR: 1.0,
    Image.Resampling.BICUBIC: 2.0,
    Image.Resampling.LANCZOS: 3.0,
    Image.Resampling.BOX: 0.5,
    Image.Resampling.HAMMING: 1.0,
}
"""Pixels on either side of its centre that Pillow's filter reads when enlarging; more when reducing."""


@dataclass(frozen=True)
class Placement:
    """A picture of `picture` pixels in an input of `size`; all pairs are (rows, columns)."""

    picture: Pair
    resized: Pair
    top: int
    left: int
    size: Pair
    interpolation: str

    @property
    def lies_within(self) -> bool:
        """Whether the picture fills the input."""
        starts = (self.top, self.left)
        ends = zip(starts, self.size, self.resized, strict=True)
        return min(starts) >= 0 and all(start + size <= resized for start, size, resized in ends)

    def picture_box(self, box: Box) -> Box:
        """The pixels of the picture that a box of the input reads; empty where the box is on the padding."""
        rows = self._read(Interval(box.top, box.bottom), 0)
        columns = self._read(Interval(box.left, box.right), 1)
        return Box.of(rows, columns) if not (rows.is_empty or columns.is_empty) else Box(0, 0, 0, 0)

    def _read(self, pixels: Interval, axis: int) -> Interval:
        start = (self.top, self.left)[axis]
        # An input has no pixels beyond its border.
        seen = pixels.clip(self.size[axis])
        found = Interval(seen.start + start, seen.stop + start).clip(self.resized[axis])
        if found.is_empty:
            return Interval(0, 0)
        sizes = self.resized[axis], self.picture[axis]
        first = source(found.start, *sizes, self.interpolation)
        return Interval(first.start, source(found.stop - 1, *sizes, self.interpolation).stop)


def source(pixel: int, resized: int, size: int, interpolation: str) -> Interval:
    """The pixels of one axis from which Pillow makes a pixel of the resized picture.

    >>> source(3, 10, 25, "bilinear"), source(3, 10, 25, "nearest")
    (Interval(start=6, stop=11), Interval(start=8, stop=9))
    """
    if resized == size:
        return Interval(pixel, pixel + 1)
    scale, reach = size / resized, _REACH.get(FILTERS[interpolation])
    middle = (pixel + 0.5) * scale
    if reach is None:
        # Pillow accumulates the scale pixel by pixel, so a centre on an edge may fall to either side.
        return Interval(floor(middle - 1e-6), floor(middle + 1e-6) + 1).clip(size)
    reach *= max(scale, 1)
    return Interval(max(int(middle - reach + 0.5), 0), min(int(middle + reach + 0.5), size))


def scaled(picture: Pair, resize: int | Pair | None, fit: str | None) -> Pair:
    """The size to which a picture is scaled; a single number is the size of the shorter side.

    >>> [scaled((300, 400), (224, 224), fit) for fit in FITS]
    [(224, 224), (224, 298), (168, 224)]
    """
    rows, columns = picture
    if resize is None:
        return picture
    if isinstance(resize, int):
        resize, fit = (resize, resize), "crop"
    if fit not in ("crop", "pad"):
        return resize
    by_rows = (resize[0] * columns >= resize[1] * rows) == (fit == "crop")
    long, short = (columns, rows) if by_rows else (rows, columns)
    side, other = resize if by_rows else resize[::-1]
    # torchvision's rule: the longer side is truncated to a whole number, not rounded.
    exact = side * long / short
    whole = max(int(exact), other) if fit == "crop" else min(max(round(exact), 1), other)
    return (side, whole) if by_rows else (whole, side)


def placed(
    picture: Pair, resize: int | Pair | None, crop: Pair | None, fit: str | None, interpolation: str
) -> Placement:
    """The placement of a picture of (rows, columns) by a preprocessing record."""
    resized = scaled(picture, resize, fit)
    size = crop or resized
    # A picture that is padded to one size and cropped to another is centred in the first.
    frame = resize if fit == "pad" and not isinstance(resize, int) and resize is not None else resized
    top, left = (before(frame[axis], size[axis]) + before(resized[axis], frame[axis]) for axis in (0, 1))
    return Placement(picture, resized, top, left, size, interpolation)


def before(size: int, crop: int) -> int:
    """Where a centred window of `crop` begins on `size`; negative where it is larger.

    torchvision's rule: half of what is cropped is rounded, half of what is padded is truncated.
    """
    return round((size - crop) / 2) if size >= crop else -((crop - size) // 2)
