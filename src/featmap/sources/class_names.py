"""Names of a network's classes: given as a list, a dictionary or a file, or known from the zoo, and checked."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, cast

from featmap.errors import ClassesMismatch
from featmap.network.network import CapturedNetwork

ClassNames: TypeAlias = "Sequence[str] | Mapping[int, str] | Mapping[str, int] | str | Path"
"""Names in the order of the scores; a dictionary of names by number, or of numbers by name; or a file: a name a line,
or JSON (.json) of either."""

_FORMS = "Give a list of names, a dictionary of names by number, or a file: a name a line, or JSON of either."
_NAMED = 4


def with_classes(
    network: CapturedNetwork, classes: ClassNames | None, known: Sequence[str] | None = None
) -> CapturedNetwork:
    """The network with the names that were given, or else with those that are known and fit.

    Raises: ClassesMismatch: the file cannot be read, a class has no name, several have the same, or the network has
    another number of scores, or none.
    """
    count = None if network.scores is None else network.scores[1]
    if classes is None:
        fits = known is not None and len(known) == count
        return replace(network, classes=tuple(known)) if fits and known is not None else network
    source = f"'{classes}'" if isinstance(classes, str | Path) else "classes"
    names = _checked(_read(Path(classes)) if isinstance(classes, str | Path) else classes, source)
    if count is None:
        problem = f"{source} names {len(names)} classes; {network.name} does not return one score per class."
        raise ClassesMismatch(problem, "Leave classes out.")
    if len(names) != count:
        problem = f"{source} names {len(names)} classes; {network.name} returns {count} scores."
        raise ClassesMismatch(problem, "Give one name for each score, in their order.")
    return replace(network, classes=names)


def shortest_names(descriptions: Sequence[str]) -> tuple[str, ...]:
    """Of each description, synonyms with commas between, the first synonym where no other class has it.

    >>> shortest_names(["tabby, tabby cat", "maillot", "maillot, tank suit"])
    ('tabby', 'maillot', 'maillot, tank suit')
    """
    firsts = [description.partition(",")[0] for description in descriptions]
    counts: defaultdict[str, int] = defaultdict(int)
    for first in firsts:
        counts[first.casefold()] += 1
    pairs = zip(firsts, descriptions, strict=True)
    return tuple(first if counts[first.casefold()] == 1 else description for first, description in pairs)


def _read(path: Path) -> Any:
    """What a file holds: a list of lines, or whatever JSON says."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix.lower() == ".json" else text.rstrip().splitlines()
    except OSError as error:
        raise ClassesMismatch(f"'{path}' cannot be read: {error.strerror}.", _FORMS) from error
    except ValueError as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "text in UTF-8"
        raise ClassesMismatch(f"'{path}' is not {kind}: {error}.", _FORMS) from error


def _checked(given: Any, source: str) -> tuple[str, ...]:
    """The names in their order. Raises: ClassesMismatch."""
    names = _by_number(cast("Mapping[Any, Any]", given), source) if isinstance(given, Mapping) else given
    if not isinstance(names, Sequence) or isinstance(names, bytes):
        raise ClassesMismatch(f"{source} is a {type(given).__name__}, not names of classes.", _FORMS)
    listed: list[Any] = [name.strip() if isinstance(name, str) else name for name in cast("Sequence[Any]", names)]
    for number, name in enumerate(listed):
        if not isinstance(name, str) or not name:
            what = "has no name" if not name else f"is {name!r}, not a name"
            raise ClassesMismatch(f"{source}: class {number} {what}.", _FORMS)
    _check_apart(listed, source)
    return tuple(listed)


def _by_number(given: Mapping[Any, Any], source: str) -> list[Any]:
    """The names of a dictionary in the order of their numbers, which are its keys or its values."""
    is_by_name = all(isinstance(value, int) and not isinstance(value, bool) for value in given.values())
    pairs = [(value, key) if is_by_name else (key, value) for key, value in given.items()]
    numbers = [str(number) for number, _ in pairs]
    if sorted(numbers) != sorted(map(str, range(len(pairs)))):
        shown = ", ".join(numbers[:_NAMED]) + (" ..." if len(numbers) > _NAMED else "")
        problem = f"{source} numbers its {len(pairs)} classes {shown}."
        raise ClassesMismatch(problem, f"Number them from 0 to {len(pairs) - 1}, each once.")
    return [name for _, name in sorted(pairs, key=lambda pair: int(pair[0]))]


def _check_apart(names: Sequence[str], source: str) -> None:
    """Raises: ClassesMismatch: several classes have the same name."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        numbers[name].append(number)
    alike = {name: found for name, found in numbers.items() if len(found) > 1}
    if not alike:
        return
    listed = [f"'{name}' ({', '.join(map(str, found))})" for name, found in alike.items()]
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    name, found = next(iter(alike.items()))
    problem = f"{source} gives the same name to several classes: {', '.join(listed[:_NAMED])}{more}."
    raise ClassesMismatch(problem, f"Tell them apart, as in '{name} {found[0]}' and '{name} {found[1]}'.")
