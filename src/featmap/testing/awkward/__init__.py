"""Modules that a tool may stumble over, one of each kind, all found in real networks too.

Every method of a network goes through all of them (tests/contracts/test_awkward.py).
"""

from featmap.testing.awkward.calling import CALLING
from featmap.testing.awkward.computing import COMPUTING
from featmap.testing.awkward.kind import Awkward
from featmap.testing.awkward.moving import MOVING
from featmap.testing.awkward.writing import WRITING

AWKWARD: dict[str, Awkward] = {**WRITING, **MOVING, **COMPUTING, **CALLING}
"""By name: modules that write to themselves, move values, compute oddly, or are called and answer oddly."""

__all__ = ["AWKWARD", "Awkward"]
