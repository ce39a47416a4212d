"""A forward that writes somewhere: afterwards everything that can be reached from the module is as it was."""

import copy
import functools
from collections import deque
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.errors import FeatmapError
from featmap.network.module_state import unchanged

GLOBAL_CACHE: dict[Any, Tensor] = {}
GLOBAL_TENSOR: Tensor | None = None


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)


class Attribute(Base):
    def forward(self, x: Tensor) -> Tensor:
        self.feature = self.conv(x)
        return self.feature + 1


class LazyAttribute(Base):
    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "gain"):
            self.gain = self.conv.weight.mean((1, 2, 3)).view(1, -1, 1, 1)
        return self.conv(x) * self.gain


class ClassAttribute(Base):
    """The heads of YOLO, in short."""

    anchors: ClassVar[Tensor] = torch.empty(0)
    shape: ClassVar[Any] = None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.shape != y.shape:
            type(self).anchors, type(self).shape = torch.arange(float(y.shape[-1])), y.shape
        return y + self.anchors


class InstanceOverClass(ClassAttribute):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.shape != y.shape:
            self.anchors, self.shape = torch.arange(float(y.shape[-1])), y.shape
        return y + self.anchors


class ListOfFeatures(Base):
    def __init__(self) -> None:
        super().__init__()
        self.features: list[Tensor] = []
        self.last: deque[Tensor] = deque(maxlen=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self.features.append(y)
        self.last.append(y)
        return y * 2


class DictionaryCache(Base):
    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[int, dict[str, Tensor]] = {0: {}}

    def forward(self, x: Tensor) -> Tensor:
        grid = self.cache[0].setdefault("grid", torch.arange(float(x.shape[-1] - 2)))
        return self.conv(x) + grid


class ReboundBuffer(Base):
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return self.conv(x) * self.calls.sign()


class CountingBuffer(ReboundBuffer):
    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        return self.conv(x)


class HookInForward(Base):
    def forward(self, x: Tensor) -> Tensor:
        self.conv.register_forward_hook(lambda _module, _given, output: output * 2)
        return self.conv(x)


class Helper:
    __slots__ = ("kept", "numbers")

    def __init__(self) -> None:
        self.kept: Tensor | None = None
        self.numbers: list[Tensor] = []


class HelperObject(Base):
    def __init__(self) -> None:
        super().__init__()
        self.helper = Helper()

    def forward(self, x: Tensor) -> Tensor:
        self.helper.kept = self.conv(x)
        self.helper.numbers.append(self.helper.kept)
        return self.helper.kept * 2


class GlobalState(Base):
    def forward(self, x: Tensor) -> Tensor:
        global GLOBAL_TENSOR
        if GLOBAL_TENSOR is None:
            GLOBAL_TENSOR = torch.arange(float(x.shape[-1] - 2))
        GLOBAL_CACHE[x.shape] = y = self.conv(x) + GLOBAL_TENSOR
        return y


@functools.lru_cache
def grid(size: int) -> Tensor:
    return torch.arange(float(size))


class CachedFunction(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + grid(x.shape[-1] - 2)


class Closure(Base):
    def __init__(self) -> None:
        super().__init__()
        kept: list[Tensor] = []
        last: Tensor | None = None

        def keep(module: nn.Module, given: Any, output: Tensor) -> None:
            nonlocal last
            last = output
            kept.append(output)

        self.kept = lambda: (kept, last)
        self.conv.register_forward_hook(keep)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + 1


class CachedStaticMethod(Base):
    @staticmethod
    @functools.lru_cache
    def ramp(size: int) -> Tensor:
        return torch.arange(float(size))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.ramp(x.shape[-1] - 2)


def default_cache(size: int, cache: dict[int, Tensor] = {}) -> Tensor:  # noqa: B006
    return cache.setdefault(size, torch.arange(float(size)))


class DefaultArgument(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + default_cache(x.shape[-1] - 2)


@pytest.mark.parametrize("kind", [CachedStaticMethod, DefaultArgument], ids=lambda kind: kind.__name__)
def test_caches_of_functions_hold_nothing_of_the_capture(kind: type[Base]) -> None:
    module = kind().eval()
    fm.trace(module, (3, 12, 12))
    with torch.no_grad():
        assert type(module(torch.rand(1, 3, 12, 12))) is Tensor
    copy.deepcopy(module)


KINDS = [
    Attribute, LazyAttribute, ClassAttribute, InstanceOverClass, ListOfFeatures, DictionaryCache, ReboundBuffer,
    CountingBuffer, HookInForward, HelperObject, GlobalState, CachedFunction, Closure,
]  # fmt: skip


def everything(module: Base) -> list[Any]:
    """Everything that one of the modules above can write to, by identity."""
    tables = [
        (path, name, _plain(value)) for path, part in module.named_modules() for name, value in vars(part).items()
    ]
    classes = [(kind.__name__, sorted(vars(kind)), _plain(vars(kind).get("anchors"))) for kind in type(module).__mro__]
    helper = getattr(module, "helper", None)
    own = None if helper is None else (helper.kept, list(helper.numbers))
    closed = [list(module.kept()[0]), module.kept()[1]] if isinstance(module, Closure) else None
    contents = {name: value.tolist() for name, value in module.state_dict().items()}
    return [tables, classes, own, closed, dict(GLOBAL_CACHE), GLOBAL_TENSOR, grid.cache_info().currsize, contents]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _plain(inner)) for key, inner in value.items()]
    if isinstance(value, list | deque):
        return [_plain(inner) for inner in value]
    return id(value)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    grid.cache_clear()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_tracing_leaves_everything_as_it_was(kind: type[Base]) -> None:
    module, image = kind().eval(), torch.rand(1, 3, 12, 12)
    before = everything(module)
    first = [(node.operator, node.spec) for node in fm.trace(module, (3, 12, 12))._captured.graph]
    assert everything(module) == before
    second = [(node.operator, node.spec) for node in fm.trace(module, (3, 12, 12))._captured.graph]
    assert first == second
    copy.deepcopy(module)
    with torch.no_grad():
        output = module(image)
    assert type(output) is Tensor
    GLOBAL_CACHE.clear()
    assert GLOBAL_TENSOR is None or type(GLOBAL_TENSOR) is Tensor
    globals()["GLOBAL_TENSOR"] = None


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_failed_or_interrupted_capture_leaves_everything_as_it_was(
    kind: type[Base], failure: type[BaseException]
) -> None:
    class Failing(kind):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise failure("in the middle")

    module = Failing().eval()
    before = everything(module)
    with pytest.raises((FeatmapError, KeyboardInterrupt)):
        fm.trace(module, (3, 12, 12))
    assert everything(module) == before


def test_what_is_written_is_seen_by_the_comparison() -> None:
    """The comparison of this file is no test that cannot fail: every forward changes something that it sees."""
    for kind in KINDS:
        module = kind().eval()
        before = everything(module)
        with torch.no_grad():
            module(torch.rand(1, 3, 12, 12))
        assert everything(module) != before, kind.__name__
        GLOBAL_CACHE.clear()
        globals()["GLOBAL_TENSOR"] = None
        grid.cache_clear()
        type.__setattr__(ClassAttribute, "anchors", torch.empty(0))
        type.__setattr__(ClassAttribute, "shape", None)


def test_a_real_run_inside_is_undone_but_for_contents_of_tensors() -> None:
    module = ListOfFeatures().eval()
    before = everything(module)
    with unchanged(module), torch.no_grad():
        module(torch.rand(1, 3, 12, 12))
    assert everything(module) == before
