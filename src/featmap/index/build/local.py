"""The engine of this process: threads read images ahead while the network runs on earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featmap.index.build.engine import Engine, Work

if TYPE_CHECKING:
    from featmap.index.build.measure import Finish


@dataclass(frozen=True)
class LocalEngine(Engine):
    """Measures the parts one after the other, on this machine."""

    name = "local"

    def run(self, work: Work) -> Iterator[Finish]:
        from featmap.index.build.measure import Measurer
        from featmap.index.build.read_ahead import reading_ahead
        from featmap.threads import side_by_side

        measurer = Measurer(work.network, work.description, work.device)
        reading = reading_ahead(work.network, measurer.batch, strict=work.strict)
        tried = work.tried
        with side_by_side(measurer.program.device) as measurer.runner, reading as reader:
            waiting = iter(work.parts)
            part = next(waiting, None)
            while part is not None:
                finish = measurer.measured(part, tried, reader.read, work.floors(), work.tick)
                tried += len(part)
                part = next(waiting, None)
                if part is not None:
                    # While the block is written, the next images are read.
                    reader.prepare(part)
                yield finish
