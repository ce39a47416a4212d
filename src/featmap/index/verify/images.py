"""Checks against the images and the network: files are unchanged, measurements repeat."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from featmap.errors import ImageError
from featmap.images.entry import Entry
from featmap.images.files import bytes_at
from featmap.images.reading import read_image
from featmap.index.build.measure import ImageTable, Measurer
from featmap.index.schema.fingerprint import network_fingerprint, preprocessing_fingerprint
from featmap.index.store.snapshot import Snapshot
from featmap.index.verify.findings import Say, some, values_of
from featmap.network.network import CapturedNetwork
from featmap.run.batches import Progress

_AT_ONCE = 1024


def check_files(snapshot: Snapshot, say: Say, progress: Progress | None) -> str:
    """Checks that every image in a file has the bytes that were measured."""
    read, count = 0, snapshot.images
    for first in range(0, count, _AT_ONCE):
        part = slice(first, min(first + _AT_ONCE, count))
        paths, digests = (map(str, values_of(snapshot, f"image/{name}", part)) for name in ("path", "digest"))
        for number, (path, digest) in enumerate(zip(paths, digests, strict=True), first):
            if path:
                read += 1
                problem = _problem_of_file(path, digest)
                if problem:
                    say(problem)
            if progress is not None:
                progress(number + 1, count)
    return f"{read} of {count} images are in files, which were read again"


def _problem_of_file(path: str, digest: str) -> str:
    try:
        data = bytes_at(path)
    except ImageError as error:
        return error.problem
    return "" if hashlib.sha256(data).hexdigest() == digest else f"'{path}' was changed since it was measured."


def check_network(snapshot: Snapshot, say: Say, network: CapturedNetwork, sample: int) -> str:
    """Checks that the network is that of the index, and measures some images as it did."""
    description = snapshot.description
    same = "the network and its preprocessing are those of the index"
    pairs = {
        "network": (description.network, network_fingerprint(network)),
        "preprocessing": (description.preprocessing, preprocessing_fingerprint(network)),
    }
    different = {name: (kept, got) for name, (kept, got) in pairs.items() if kept != got}
    for name, (kept, got) in different.items():
        say(f"The index is of another {name}: its fingerprint is {kept}, that of the one given is {got}.")
    if different or not description.table:
        return "" if different else f"{same}; there is no table to measure images for again"
    numbers = np.unique(np.linspace(0, snapshot.images - 1, min(sample, snapshot.images)).astype(np.int64))
    measured = _measured_again(snapshot, say, network, [number for number in numbers.tolist() if number >= 0])
    return f"{same}; {measured} images were measured again"


def _measured_again(snapshot: Snapshot, say: Say, network: CapturedNetwork, numbers: Sequence[int]) -> int:
    paths = snapshot.texts("image/path", numbers)
    found = {number: path for number, path in zip(numbers, paths, strict=True) if path}
    entries: dict[str, Entry] = {}
    for number, path in found.items():
        try:
            entries[str(number)] = Entry(str(number), "", bytes_at(path))
        except ImageError as error:
            say(error.problem)
    measurer = Measurer(network, snapshot.description)
    block = measurer.block(list(entries.values()), 0, lambda part: (read_image(network, entry) for entry in part))
    for name, reason in block.skipped:
        say(f"'{found[int(name)]}' cannot be measured again: {reason}")
    for at, image in enumerate(block.images):
        number = int(image.entry.name)
        problem = _difference(snapshot, number, block.table.cut(at + 1))
        if problem:
            say(f"'{found[number]}' (image {number}) is measured otherwise now: {problem}.")
    return len(block.images)


def _difference(snapshot: Snapshot, number: int, measured: ImageTable) -> str:
    """Maps whose maximum or mean differs; the last digits depend on the machine and the batch."""
    wrong: list[str] = []
    for name in ("maximum", "mean"):
        kept = values_of(snapshot, f"table/{name}", (slice(number, number + 1),))[0]
        now = getattr(measured, name)[-1]
        scale = max(float(np.abs(now).max(initial=0)), 1e-30)
        different = np.flatnonzero(~np.isclose(kept, now, rtol=1e-3, atol=1e-4 * scale))
        if len(different):
            wrong.append(f"the {name} of maps {some(different)}")
    return " and ".join(wrong)
