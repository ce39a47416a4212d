"""Addresses of feature maps: parser and printer of `LAYER#n:STAGE/CHANNEL@ROW,COLUMN`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from operator import index as index_of
from typing import Any, SupportsIndex
from urllib.parse import unquote

from featmap.errors import AddressSyntaxError
from featmap.geometry.place import unit_words
from featmap.geometry.setting import axis_words

STAGES = ("conv", "z", "a")

_ADDRESS = re.compile(
    r"(?P<layer>[^#:/@]+)(?:#(?P<call>\d+))?(?::(?P<stage>[^/@]*))?(?:/(?P<channel>[^@]*))?(?:@(?P<unit>.*))?"
)
_FORM = "An address is LAYER, LAYER#n, LAYER:STAGE, LAYER:STAGE/CHANNEL or LAYER:STAGE/CHANNEL@ROW,COLUMN."
_SIGNS = re.compile(r"[%#:/@\s]")


def written(layer: str) -> str:
    """A layer's path as written in an address: reserved characters, spaces and % are escaped as in a URL.

    >>> written("heads.a:b"), written("features.21")
    ('heads.a%3Ab', 'features.21')
    """
    return _SIGNS.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), layer)


@dataclass(frozen=True, slots=True)
class Address:
    """The name of a layer, a stage of it, one of its feature maps, or one unit; `layer` is the path in the model.

    >>> Address.parse("layer1.0.relu#2:a/117@10,12")
    Address(layer='layer1.0.relu', call=2, stage='a', channel=117, unit=(10, 12))
    >>> str(Address("features.21", stage="z", channel=3))
    'features.21:z/3'
    """

    layer: str
    call: int | None = None
    stage: str | None = None
    channel: int | None = None
    unit: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        numbers = [*_numbers(self.call), *_numbers(self.channel), *_numbers(self.unit)]
        is_whole = all(isinstance(number, SupportsIndex) and index_of(number) >= 0 for number in numbers)
        is_unit = self.unit is None or (self.channel is not None and len(_numbers(self.unit)) in (1, 2, 3))
        layer: Any = self.layer
        if not (isinstance(layer, str) and self.stage in (None, *STAGES) and is_whole and is_unit):
            raise AddressSyntaxError(f"{self!r} is no address of a layer.", _FORM)

    @classmethod
    def parse(cls, text: str | Address) -> Address:
        """The address that a text stands for.

        Raises: AddressSyntaxError: the text is not a valid address; the message shows the form.
        """
        if isinstance(text, Address):
            return text
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise AddressSyntaxError(f"{text!r}, of type {type(text).__name__}, is no address of a layer.", _FORM)
        found = _ADDRESS.fullmatch(text.strip())
        if found is None:
            raise AddressSyntaxError(f"'{text}' is not a valid address.", _FORM)
        layer, call, stage, channel, unit = found.group("layer", "call", "stage", "channel", "unit")
        if stage is not None and stage not in STAGES:
            raise AddressSyntaxError(f"'{text}': '{stage}' is not a stage; the stages are conv, z and a.", _FORM)
        if call is not None and int(call) < 1:
            raise AddressSyntaxError(f"'{text}': calls are counted from 1, got #{call}.", _FORM)
        number = None if channel is None else _whole_number(channel, text, "channel")
        return cls(unquote(layer), None if call is None else int(call), stage, number, _unit(unit, number, text))

    def __str__(self) -> str:
        text = self.named_call
        text += "" if self.stage is None else f":{self.stage}"
        text += "" if self.channel is None else f"/{self.channel}"
        return text + ("" if self.unit is None else unit_words(self.unit))

    @property
    def named_call(self) -> str:
        """Layer and call as written, without stage, channel and unit."""
        return written(self.layer) + ("" if self.call is None else f"#{self.call}")

    @property
    def of_layer(self) -> Address:
        """The same address without channel and unit."""
        return replace(self, channel=None, unit=None)


def _numbers(given: Any) -> tuple[Any, ...]:
    """The numbers of a part of an address."""
    return () if given is None else tuple(given) if isinstance(given, tuple | list) else (given,)


def _whole_number(text: str, address: str, what: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise AddressSyntaxError(f"'{address}': '{text}' is not a {what} number (0, 1, 2 ...).", _FORM)
    return int(text)


def _unit(text: str | None, channel: int | None, address: str) -> tuple[int, ...] | None:
    if text is None:
        return None
    if channel is None:
        raise AddressSyntaxError(f"'{address}' names a unit but no channel.", _FORM)
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 3 or not all(parts):
        raise AddressSyntaxError(
            f"'{address}': '@{text}' is not a unit; write @ROW,COLUMN, @POSITION in a signal, "
            "@PLANE,ROW,COLUMN in a volume.",
            _FORM,
        )
    words = axis_words(len(parts))
    return tuple(_whole_number(part, address, one.cell) for part, one in zip(parts, words, strict=True))
