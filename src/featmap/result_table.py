"""Results that are tables: their rows as plain data, as CSV, and as a pandas DataFrame."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from featmap.errors import MissingPackage
from featmap.plain_data import PlainData
from featmap.result import Result

if TYPE_CHECKING:
    import pandas


class TableResult(Result):
    """Base of the results that are tables."""

    def rows(self) -> list[dict[str, PlainData]]:
        """The rows, each a dictionary of plain values by heading."""
        raise NotImplementedError

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a pandas DataFrame.

        Raises: MissingPackage: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingPackage(
                f"to_pandas() of a {type(self).__name__} needs pandas, which cannot be imported: {error}.",
                "Install it with `pip install 'featmap[pandas]'`, or take .rows(), or save as .csv.",
            ) from error
        return pandas.DataFrame(self.rows())


def csv_text(rows: Sequence[Mapping[str, PlainData]]) -> str:
    """Rows as CSV below a line of headings; a missing value is an empty cell.

    >>> print(csv_text([{"image": "cat, sitting", "value": 0.5, "label": None}]), end="")
    image,value,label
    "cat, sitting",0.5,
    """
    buffer = io.StringIO()
    headings = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(buffer, headings, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
