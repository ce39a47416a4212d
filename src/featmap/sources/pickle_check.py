"""The safety check of torch.save files: their pickle operations and names are inspected, none is executed.

torch writes a table of tensors with few operations, and names few functions. Both are listed here, so that what a file
may do depends neither on the version of torch nor on what a program allowed torch to read. Two formats are read: a zip
archive, and torch's old format, a sequence of pickles followed by the tensors' bytes.
"""

from __future__ import annotations

import pickletools
import re
import zipfile
import zlib
from typing import IO

from featmap.sources.zip_check import ambiguity

# What Python raises for archives that are damaged, encrypted or compressed with an unsupported method.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
_MEMBERS = re.compile(r"data\.pkl|data/\d+|version|byteorder|\.data/[^/]+|\.format_version|\.storage_alignment")
_PICKLES_BEFORE_TENSORS = 5
"""The pickles at the start of torch's old format: magic number, version, machine, table, and the tensors' keys."""

_OPERATIONS = (
    "PROTO STOP MARK GLOBAL REDUCE BUILD NEWOBJ BINPERSID BINPUT LONG_BINPUT BINGET LONG_BINGET NONE NEWTRUE NEWFALSE "
    "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINSTRING EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS EMPTY_SET"
)
_BUILTINS = "set complex bytearray"
_DTYPES = (
    "float16 float32 float64 bfloat16 complex32 complex64 complex128 bool int8 int16 int32 int64 uint8 uint16 uint32 "
    "uint64 bits8 bits16 bits1x8 bits2x4 bits4x2 float4_e2m1fn_x2 float8_e4m3fn float8_e4m3fnuz float8_e5m2 "
    "float8_e5m2fnuz float8_e8m0fnu qint8 qint32 quint8 quint2x4 quint4x2 "
    "per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric per_channel_affine_float_qparams"
)
_STORAGES = (
    "Float Double Half BFloat16 ComplexFloat ComplexDouble Byte Char Short Int Long Bool QInt8 QInt32 QUInt8 QUInt2x4 "
    "QUInt4x2"
)
_REBUILT = "tensor tensor_v2 tensor_v3 parameter parameter_with_state qtensor sparse_tensor"
_GLOBALS = frozenset(
    ["collections OrderedDict", "collections Counter", "_codecs encode"]
    + [f"{module} {name}" for module in ("builtins", "__builtin__") for name in _BUILTINS.split()]
    + ["torch Size", "torch device", "torch Tensor", "torch.nn.parameter Parameter", "torch.serialization _get_layout"]
    + ["torch.storage UntypedStorage", "torch.storage TypedStorage", "torch._tensor _rebuild_from_type_v2"]
    + [f"torch {name}" for name in _DTYPES.split()]
    + [f"torch {name}Storage" for name in _STORAGES.split()]
    + [f"torch._utils _rebuild_{name}" for name in _REBUILT.split()]
)


def beyond_tensors(file: IO[bytes]) -> str | None:
    """What a torch.save file holds or does beyond tensors, numbers, text and tables of them; None for nothing.

    Raises: ValueError: it is not a torch.save file, or it is damaged.
    """
    start = file.read(4)
    file.seek(0)
    if start == b"PK\x03\x04":
        return _beyond_tensors_zipped(file)
    for _ in range(_PICKLES_BEFORE_TENSORS):
        found = _beyond_tensors_pickled(file)
        if found:
            return found
    return None


def _beyond_tensors_zipped(file: IO[bytes]) -> str | None:
    try:
        with zipfile.ZipFile(file) as archive:
            found = ambiguity(archive, file) or _unknown_member(archive.namelist())
            pickled = [info for info in archive.infolist() if info.filename.partition("/")[2] == "data.pkl"]
            if found or not pickled:
                return found or "it holds no table of tensors (data.pkl)"
            with archive.open(pickled[0]) as table:
                return _beyond_tensors_pickled(table)
    except _DAMAGED as error:
        raise ValueError(str(error)) from error


def _unknown_member(names: list[str]) -> str | None:
    inner = [name.partition("/")[2] or name for name in names]
    if "constants.pkl" in inner:
        return "it is a TorchScript program"
    return next((f"it holds '{name}', which may be code" for name in inner if not _MEMBERS.fullmatch(name)), None)


def _beyond_tensors_pickled(file: IO[bytes]) -> str | None:
    protocol, known = 0, frozenset(_OPERATIONS.split())
    for operation, argument, _ in pickletools.genops(file):  # pyright: ignore[reportArgumentType]
        if operation.name == "PROTO":
            protocol = argument
        elif not protocol:
            raise ValueError("not a pickle of torch.save: its protocol is missing")
        if operation.name not in known:
            return f"its pickle, of protocol {protocol}, uses the operation {operation.name}, which tensors do not need"
        if operation.name == "GLOBAL" and argument not in _GLOBALS:
            return f"reading it would execute {str(argument).replace(' ', '.')}"
    return None
