"""The engine of a Ray cluster, and its options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from featmap.errors import SettingError
from featmap.index.build.engine import Engine, Work
from featmap.index.schema.described import Described

if TYPE_CHECKING:
    from featmap.index.build.measure import Block, Finish


@dataclass(frozen=True)
class RayEngine(Engine):
    """Parts are measured by workers of a Ray cluster.

    `workers`: how many; without a number one per four processors, or per GPU. The cluster is the one that this process
    is connected to, else that at `address` or RAY_ADDRESS, else one that is started on this machine and ends with the
    build. Images that are paths have to be there for every worker.
    """

    name = "ray"
    where = "on a Ray cluster"

    workers: Annotated[int | None, Described("how many workers.", "N")] = None
    address: Annotated[str | None, Described("the cluster's; one is started here if not given.", "ADDRESS")] = None

    def check(self) -> None:
        workers: Any = self.workers
        if workers is not None and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 1):
            raise SettingError(f"workers is {workers!r}.", "Give a whole number from 1 on.")
        from featmap.index.build.ray_cluster import imported_ray

        imported_ray()

    def run(self, work: Work) -> Iterator[Finish]:
        """Raises: MissingPackage, SettingError. WorkError: workers died again and again on one part, which is named.

        ImageBroken: where it is strict.
        """
        from featmap.index.build.ray_pool import ray_blocks

        with closing(ray_blocks(work, self.workers, self.address)) as blocks:
            for block in blocks:
                # A worker has finished it.
                yield partial(_itself, block)


def _itself(block: Block) -> Block:
    return block
