"""What two indexes hold, compared array by array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from featmap.index.store.snapshot import Snapshot

# A digest of floats tells apart what differs in the last digit.
_DIGEST = "block/digest"


def arrays_of(path: str | Path) -> dict[str, Any]:
    """Every array of an index by its name."""
    root = Snapshot.of(path).root
    names = (f"{group}/{name}" for group, part in root.groups() for name, _ in part.arrays())
    return {name: np.asarray(root[name][...]) for name in (*names, *(name for name, _ in root.arrays()))}


def assert_same_content(path: str | Path, expected: str | Path) -> None:
    """Floats are the same to a few of their last digits, everything else exactly; the order of blocks counts."""
    found, wanted = arrays_of(path), arrays_of(expected)
    assert sorted(found) == sorted(wanted)
    assert len(wanted) > 20
    for name, values in wanted.items():
        assert found[name].shape == values.shape, name
        if np.issubdtype(values.dtype, np.floating):
            # Sums of products grow with the largest of them.
            largest = np.abs(values[np.isfinite(values)]).max(initial=0)
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6 * largest, err_msg=name)
        elif name != _DIGEST:
            assert np.array_equal(found[name], values), name
    assert Snapshot.of(path).description == Snapshot.of(expected).description
