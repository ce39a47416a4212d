"""Verification of an index: everything that can be checked is checked, every problem is reported.

Chunks carry checksums, and blocks digests; what is known over all images is computed again from the table. An index
that keeps no table has less to compare with: there, totals are only checked for being possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from featmap.errors import IndexBroken
from featmap.index.store.snapshot import RECORD, RECORD_DIGEST, Snapshot, record_digest
from featmap.index.store.storage import guarded, opened
from featmap.index.verify.arrays import check_arrays, check_blocks, check_images, check_names_of_maps
from featmap.index.verify.findings import Findings, Say
from featmap.index.verify.images import check_files, check_network
from featmap.index.verify.sums import check_sums, check_tails
from featmap.index.verify.table import check_full, check_table
from featmap.network.network import CapturedNetwork
from featmap.result import Result
from featmap.run.batches import Progress

SAMPLE = 8


@dataclass(frozen=True)
class Verification(Result):
    """What was checked of an index, and what is wrong with it."""

    path: str
    checked: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def _data(self) -> dict[str, Any]:
        return {
            "index": self.path,
            "sound": self.is_sound,
            "checked": list(self.checked),
            "problems": list(self.problems),
        }

    def __repr__(self) -> str:
        count = len(self.problems)
        said = "sound" if not count else f"{count} {'problem' if count == 1 else 'problems'}"
        return f"Verification({self.path}: {said})"


def verify(
    path: str | Path,
    *,
    files: bool = False,
    network: CapturedNetwork | None = None,
    sample: int = SAMPLE,
    progress: Progress | None = None,
) -> Verification:
    """Checks an index; see `featmap.Index.verify`.

    `files`: also checks that every image in a file has the bytes that were measured. `network`: also checks that this
    is the network of the index, and measures `sample` images, evenly spread, as it did. Raises: NoIndex: there never
    was an index.
    """
    findings = Findings()
    snapshot = _opened(path, findings)
    if snapshot is not None:
        _check(snapshot, findings)
        if files:
            findings.check(snapshot, partial(check_files, progress=progress), ("image/",))
        if network is not None:
            findings.check(snapshot, partial(check_network, network=network, sample=sample), ("image/", "table/"))
        if findings.problems:
            findings.check(snapshot, _check_newest)
    return Verification(str(path), tuple(said for said in findings.checked if said), tuple(findings.problems))


def _opened(path: str | Path, findings: Findings) -> Snapshot | None:
    try:
        return Snapshot.of(path)
    except IndexBroken as error:
        findings.say(error.problem)
    return None


def _check(snapshot: Snapshot, findings: Findings) -> None:
    findings.check(snapshot, _check_description)
    findings.check(snapshot, partial(check_arrays, unread=findings.unread))
    findings.check(snapshot, _check_history)
    findings.check(snapshot, check_names_of_maps, ("map/layer", "map/channel"))
    findings.check(snapshot, check_blocks, ("block/", "image/"))
    findings.check(snapshot, check_images, ("image/", "label/", "skipped/"))
    findings.check(snapshot, check_sums, ("map/", "image/", "comoment/"))
    findings.check(snapshot, check_tails, ("tail/", "map/", "image/"))
    findings.check(snapshot, check_table, ("image/", "label/", "block/", "map/", "table/"))
    findings.check(snapshot, check_full, ("image/", "block/", "table/", "full/"))


def _check_description(snapshot: Snapshot, say: Say) -> str:
    with guarded(snapshot.path):
        attributes = dict(snapshot.root.attrs)
    if record_digest(attributes[RECORD]) != attributes.get(RECORD_DIGEST):
        say("The description of the index is not the one that was written.")
    return "the description of the index is as it was written"


def _check_history(snapshot: Snapshot, _: Say) -> str:
    """A build deletes older states; for that it must be able to read them."""
    with guarded(snapshot.path):
        repository = opened(snapshot.path)
        states = list(repository.ancestry(snapshot_id=snapshot.id))
        for older in states[1:]:
            repository.readonly_session(snapshot_id=older.id)
        for newer, older in pairwise(states):
            repository.diff(from_snapshot_id=older.id, to_snapshot_id=newer.id)
    return f"{len(states)} states of the index can be opened"


def _check_newest(snapshot: Snapshot, say: Say) -> str:
    if Snapshot(snapshot.path).id != snapshot.id:
        say("The index was built on meanwhile, and what was read may be gone by now. Verify it when no build runs.")
    return ""
