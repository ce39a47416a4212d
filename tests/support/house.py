"""Counts of the house that `make check` holds and prints: files per folder, circles, names of operators, signatures."""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "featmap"
OPERATORS = SOURCE / "graph" / "operators"
TABLE = OPERATORS / "table.py"
MOST = {
    "lines outside graph/operators that read an operator's name": 0,
    "most files in a folder": 14,
    "most files of a question": 5,
    "most files that name an operator": 2,
    "circles of imports": 0,
    "longest signature of a public function": 10,
    "module docstrings that are questions": 0,
    "names of more than one public class": 0,
}
"""What is allowed of each count. The goal for signatures is 9; a convolution has ten settings, PyTorch's own."""


def main() -> None:
    """Prints the counts, each with what makes it, and ends with 1 where one is larger than allowed."""
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
    found = {
        "lines outside graph/operators that read an operator's name": names_read(modules),
        "most files in a folder": largest_folder(modules),
        "most files of a question": widest_question(modules),
        "most files that name an operator": widest_operator(modules),
        "circles of imports": circles(modules),
        "longest signature of a public function": longest_signature(modules),
        "module docstrings that are questions": questions(modules),
        "names of more than one public class": shared_names(modules),
    }
    failed = False
    for name, (count, example) in found.items():
        is_over = count > MOST[name]
        failed = failed or is_over
        print(f"{'FAILS ' if is_over else ''}{name}: {count} (at most {MOST[name]}){f', {example}' if example else ''}")
    sys.exit(failed)


Modules = dict[Path, ast.Module]
Found = tuple[int, str]


def name_of(path: Path) -> str:
    """The dotted name of a module; of an `__init__`, that of its package."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def names_read(modules: Modules) -> Found:
    """Lines that read `base_name`, or compare `operator` or `target` of a node with a name."""
    lines = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path, tree in modules.items()
        if OPERATORS not in path.parents
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "base_name") or _compares_operator(node)
    ]
    return len(lines), ", ".join(lines)


def _compares_operator(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    is_operator = any(isinstance(side, ast.Attribute) and side.attr == "operator" for side in sides)
    texts = [side.value for side in sides if isinstance(side, ast.Constant) and isinstance(side.value, str)]
    # A node that is an input of the graph has no operator, and says so.
    return is_operator and any(text != "input" for text in texts)


def shared_names(modules: Modules) -> Found:
    """Names that several classes have: a word has one meaning in the whole tree."""
    named: dict[str, list[str]] = defaultdict(list)
    for path, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                named[node.name].append(name_of(path))
    found = {name: where for name, where in named.items() if len(where) > 1}
    return len(found), ", ".join(f"{name} in {' and '.join(where)}" for name, where in sorted(found.items()))


def largest_folder(modules: Modules) -> Found:
    """The folder with the most modules, `__init__` not counted."""
    counts = Counter(path.parent for path in modules if path.name != "__init__.py")
    ((folder, count),) = counts.most_common(1)
    return count, str(folder.relative_to(SOURCE))


def widest_question(modules: Modules) -> Found:
    """The question whose module is imported by most files, itself included."""
    asked = {name_of(path): path for path in modules if path.parent == SOURCE / "methods" and path.stem != "__init__"}
    users: defaultdict[str, set[Path]] = defaultdict(set)
    for path, tree in modules.items():
        for imported in imports_of(tree):
            if imported in asked and path.parent.name not in ("demo", "testing"):
                users[imported].add(path)
    counts = {name: 1 + len(paths) for name, paths in users.items()}
    name = max(counts, key=counts.__getitem__)
    return counts[name], name.removeprefix("featmap.")


def widest_operator(modules: Modules) -> Found:
    """The operator whose torch name stands in the strings of most files: those of the table, and of its class."""
    names = {
        word
        for node in ast.walk(modules[TABLE])
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
        for word in node.value.split()
    }
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for path, tree in modules.items():
        docstrings = {id(text) for text in _docstrings(tree)}
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
            if is_text and node.value in names and "_" in node.value:
                holders[node.value].add(str(path.relative_to(SOURCE)))
    # An argument may have the name of an operator; those with a digit are operators for certain.
    counts = {name: 1 + len(paths - {"graph/operators/table.py"}) for name, paths in holders.items() if "2d" in name}
    name = max(counts, key=counts.__getitem__, default="")
    return counts.get(name, 1), name


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def imports_of(tree: ast.Module) -> Iterator[str]:
    """The modules that a module imports, by dotted name, also inside of functions and for types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def circles(modules: Modules) -> Found:
    """Groups of modules that import one another."""
    names = {name_of(path) for path in modules if path.name != "__init__.py"}
    reads = {
        name_of(path): names.intersection(imports_of(tree))
        for path, tree in modules.items()
        if path.name != "__init__.py"
    }
    # What imports nothing that is left, or is imported by nothing that is left, is part of no circle.
    while True:
        free = {name for name, read in reads.items() if not read & reads.keys()}
        free |= {name for name in reads if not any(name in read for other, read in reads.items() if other != name)}
        if not free:
            return len(reads), ", ".join(sorted(reads))
        reads = {name: read for name, read in reads.items() if name not in free}


def longest_signature(modules: Modules) -> Found:
    """The public function with the most parameters; commands, whose options are parameters, aside."""
    counts = {
        f"{path.relative_to(SOURCE)}:{node.name}": len(node.args.args + node.args.kwonlyargs + node.args.posonlyargs)
        - (node.args.args[:1] != [] and node.args.args[0].arg in ("self", "cls"))
        for path, tree in modules.items()
        if "cli" not in path.parts
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not _is_compiled(node)
    }
    name = max(counts, key=counts.__getitem__)
    return counts[name], name


def _is_compiled(function: ast.FunctionDef) -> bool:
    """Whether Numba compiles it, whose functions take plain numbers and arrays one by one."""
    return "njit" in "".join(map(ast.dump, function.decorator_list))


def questions(modules: Modules) -> Found:
    """Module docstrings whose first line asks."""
    first = {path: (ast.get_docstring(tree) or "").split("\n")[0] for path, tree in modules.items()}
    asked = [str(path.relative_to(SOURCE)) for path, line in first.items() if "?" in line]
    return len(asked), ", ".join(asked)


if __name__ == "__main__":
    main()
