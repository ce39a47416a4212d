"""What the benchmarks of an index are made of works; what takes long is only measured there."""

from __future__ import annotations

from pathlib import Path

from benchmarks.synthetic_index import LABELS, MAPS, synthetic_index

import featmap as fm
from featmap.index.store.snapshot import Snapshot


def test_the_made_up_index_holds_what_a_build_would_write(tmp_path: Path) -> None:
    synthetic_index(tmp_path / "x.fmi", 500)
    index = fm.Index.open(tmp_path / "x.fmi")
    maxima = Snapshot.of(tmp_path / "x.fmi").read("table/maximum")
    assert maxima.shape == (500, MAPS)
    for channel in (0, 7, MAPS - 1):
        found = index.top(f"{index.layers[0]}/{channel}")
        assert [each.number for each in found.examples] == (-maxima[:, channel]).argsort(kind="stable")[:9].tolist()
    labelled = index.top(f"{index.layers[0]}/0", label=LABELS[3])
    assert labelled.images == 5
    assert {each.label for each in labelled.examples} == {LABELS[3]}
