"""Forwards that write to their module or elsewhere: everything reachable from the module is restored afterwards."""

import copy
import functools
import random
import threading
import weakref
from collections import OrderedDict, defaultdict, deque
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import featmap as fm
from featmap.capture.state.module_state import unchanged
from featmap.errors import FeatmapError
from support import stateful_helpers
from support.reachable_state import Reachable, assert_nothing_changed

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


def counted(size: int) -> Tensor:
    counted.__dict__.setdefault("cache", {})[size] = made = torch.arange(float(size))
    return made


class FunctionAttribute(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + counted(x.shape[-1] - 2)


class ImportedModule(Base):
    def forward(self, x: Tensor) -> Tensor:
        stateful_helpers.LATEST = y = self.conv(x) + stateful_helpers.ramp(x.shape[-1] - 2)
        return y * 1


class Kept:
    last: Any = None

    def __init__(self) -> None:
        self.mine: Any = None


KEPT = Kept()


class GlobalObject(Base):
    def forward(self, x: Tensor) -> Tensor:
        KEPT.mine = y = self.conv(x)
        return y * 1


class GlobalClass(Base):
    def forward(self, x: Tensor) -> Tensor:
        Kept.last = y = self.conv(x)
        return y * 1


class NewGlobal(Base):
    def forward(self, x: Tensor) -> Tensor:
        global NEW_GLOBAL
        NEW_GLOBAL = self.conv(x)
        return NEW_GLOBAL * 1


class NewGlobalByName(Base):
    def forward(self, x: Tensor) -> Tensor:
        globals()["LATE"] = y = self.conv(x)
        return y * 1


class Slotted:
    __slots__ = ("__own", "late")

    def keep(self, value: Tensor) -> None:
        self.__own = self.late = value


class UnsetSlots(Base):
    def __init__(self) -> None:
        super().__init__()
        self.slotted = Slotted()

    def forward(self, x: Tensor) -> Tensor:
        self.slotted.keep(self.conv(x))
        return self.slotted.late * 1


class Quiet(nn.Conv2d):
    pass


class ChangedClass(Base):
    def forward(self, x: Tensor) -> Tensor:
        self.conv.__class__ = Quiet
        return self.conv(x)


class ReplacedDictionary(Base):
    def forward(self, x: Tensor) -> Tensor:
        self.__dict__ = {**self.__dict__, "late": x}
        return self.conv(x)


class NamedDict(dict[Any, Any]):
    pass


class NamedList(list[Any]):
    pass


class AttributesOfContainers(Base):
    def __init__(self) -> None:
        super().__init__()
        self.tables = [NamedDict(a=1), NamedList(), OrderedDict(a=1), defaultdict(list), SimpleNamespace()]

    def forward(self, x: Tensor) -> Tensor:
        table, values, ordered, by_size, space = self.tables
        y = table.last = values.last = table["a"] = space.last = self.conv(x)
        values.append(y)
        ordered.move_to_end("a")
        ordered["b"] = y
        by_size[3].append(y)
        return y * 1


class Threaded(Base):
    def __init__(self) -> None:
        super().__init__()
        self.local = threading.local()
        self.weak: Any = weakref.WeakKeyDictionary()

    def forward(self, x: Tensor) -> Tensor:
        self.weak[self.conv] = self.local.last = y = self.conv(x)
        return y * 1


class ArraysInPlace(Base):
    def __init__(self) -> None:
        super().__init__()
        self.counts, self.bytes = np.zeros(3), bytearray(3)
        self.objects = np.array([None, {}], dtype=object)

    def forward(self, x: Tensor) -> Tensor:
        self.counts += 1
        self.bytes[0] = 7
        y = self.objects[0] = self.objects[1]["y"] = self.conv(x)
        return y + float(self.counts[0])


class TensorInPlace(Base):
    """torch computes with such tensors themselves, also where it refuses in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.plain, self.several = torch.zeros(3), [torch.zeros(2)]

    def forward(self, x: Tensor) -> Tensor:
        self.plain.add_(1)
        self.several[0][1] = 5
        return self.conv(x) + self.plain.sum()


class AliasedWeight(Base):
    """A parameter that is reached as a plain tensor, too."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = [self.conv.weight]

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.weights[0].mul_(2)
        return self.conv(x)


class AttributesOfTensors(Base):
    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.zeros(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self.plain.__dict__["last"] = y
        self.plain.requires_grad_()
        return y + self.plain.sum()


class DataOfTensor(Base):
    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.zeros(3)

    def forward(self, x: Tensor) -> Tensor:
        self.plain.data = torch.ones(4)
        return self.conv(x) + self.plain.sum()


class Generators(Base):
    def __init__(self) -> None:
        super().__init__()
        self.own, self.numpy = random.Random(0), np.random.default_rng(0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.own.random() + self.numpy.random()


class UnsetVariable(Base):
    def __init__(self) -> None:
        super().__init__()

        def keep(value: Tensor) -> None:
            nonlocal last
            last = value

        self.keep, self.kept = keep, lambda: last
        if not self:
            last = None

    def __bool__(self) -> bool:
        return True

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self.keep(y)
        return y * 1


KINDS = [
    Attribute, LazyAttribute, ClassAttribute, InstanceOverClass, ListOfFeatures, DictionaryCache, ReboundBuffer,
    CountingBuffer, HookInForward, HelperObject, GlobalState, CachedFunction, Closure, FunctionAttribute,
    ImportedModule, GlobalObject, GlobalClass, NewGlobal, NewGlobalByName, UnsetSlots, ChangedClass,
    ReplacedDictionary, AttributesOfContainers, Threaded, ArraysInPlace, AttributesOfTensors, Generators,
    UnsetVariable, CachedStaticMethod, DefaultArgument,
]  # fmt: skip
REFUSED = [TensorInPlace, AliasedWeight, DataOfTensor]
IMAGE = torch.rand(1, 3, 12, 12)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_tracing_leaves_everything_as_it_was(kind: type[Base]) -> None:
    module = kind().eval()
    before = Reachable(module)
    first = [(node.operator, node.spec) for node in fm.trace(module, (3, 12, 12))._captured.graph]
    assert_nothing_changed(before, module)
    second = [(node.operator, node.spec) for node in fm.trace(module, (3, 12, 12))._captured.graph]
    assert first == second
    with unchanged(module), torch.no_grad():
        assert type(module(IMAGE)) is Tensor


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (Threaded, UnsetVariable)])
def test_a_traced_module_can_be_copied(kind: type[Base]) -> None:
    module = kind().eval()
    fm.trace(module, (3, 12, 12))
    copy.deepcopy(module)


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_a_refused_module_is_left_as_it_was(kind: type[Base]) -> None:
    module = kind().eval()
    before = Reachable(module)
    with pytest.raises(FeatmapError):
        fm.trace(module, (3, 12, 12))
    assert_nothing_changed(before, module)


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
    before = Reachable(module)
    with pytest.raises((FeatmapError, KeyboardInterrupt)):
        fm.trace(module, (3, 12, 12))
    assert_nothing_changed(before, module)


@pytest.mark.parametrize("kind", [*KINDS, *REFUSED], ids=lambda kind: kind.__name__)
def test_what_is_written_is_seen_by_the_comparison_and_undone(kind: type[Base]) -> None:
    """The comparison of this file is no test that cannot fail: every forward changes something that it sees."""
    module = kind().eval()
    before = Reachable(module)
    with unchanged(module):
        with torch.no_grad():
            module(IMAGE)
        if kind not in (CachedFunction, CachedStaticMethod):
            with pytest.raises(AssertionError):
                assert_nothing_changed(before, module)
    if kind is not CountingBuffer:
        # Of parameters and buffers a capture sees others in their place; their contents are not noted.
        assert_nothing_changed(before, module)


def test_the_comparison_sees_tensors_without_values_in_caches_of_functions() -> None:
    module = CachedFunction().eval()
    before = Reachable(module)
    grid.cache_clear()
    with FakeTensorMode():
        grid(7)
    with pytest.raises(AssertionError, match="holds tensors without values"):
        assert_nothing_changed(before, module)
    grid.cache_clear()


def test_every_place_is_put_back_also_where_one_cannot_be() -> None:
    class Stubborn(bytearray):
        def __setitem__(self, *_: Any) -> None:
            raise ValueError("stubborn")

    class Both(Base):
        def __init__(self) -> None:
            super().__init__()
            self.stubborn, self.seen = Stubborn(2), [1]

    module = Both()
    stack = ExitStack()
    stack.enter_context(unchanged(module))
    module.seen.append(2)
    module.late = 1
    with pytest.raises(ValueError, match="stubborn"):
        stack.close()
    assert module.seen == [1]
    assert not hasattr(module, "late")


class Loud:
    """What stands for something else until it is asked: whoever asks, makes it."""

    def __getattribute__(self, name: str) -> Any:
        raise ValueError(f"asked for {name}")


class LoudSlots:
    __slots__ = ("kept",)

    def __getattr__(self, name: str) -> Any:
        raise ValueError(f"asked for {name}")


def loud(kind: type) -> Any:
    """A collection of a subclass that makes its elements where somebody looks."""

    def looked(*_: Any) -> Any:
        raise ValueError("looked into")

    asked = ("keys", "values", "items", "get", "copy", "__iter__", "__len__", "__getitem__", "__contains__", "__eq__")
    return type(f"Loud{kind.__name__}", (kind,), {**dict.fromkeys(asked, looked), "__hash__": object.__hash__})


LOUD = {
    "object": Loud,
    "slots": LoudSlots,
    **{kind.__name__: loud(kind) for kind in (dict, OrderedDict, list, tuple, set, frozenset, deque)},
}
NOISY: Any = None


@pytest.mark.parametrize("kind", LOUD)
def test_nothing_of_the_users_is_asked_on_the_way(kind: str) -> None:
    """Neither in globals nor in attributes: tables and stand-ins that are filled when somebody looks."""
    global NOISY
    NOISY = LOUD[kind]()

    class Named(Base):
        held: ClassVar[Any] = NOISY

        def forward(self, x: Tensor) -> Tensor:
            assert NOISY is not None
            return self.conv(x)

    module, image = Named(), torch.rand(1, 3, 6, 6)
    module.__dict__["beside"] = [NOISY]
    try:
        (conv,) = fm.trace(module, inputs=(image,)).maps(image, "conv").values()
        assert np.allclose(conv.values, module.conv(image).detach(), atol=1e-6)
    finally:
        NOISY = None
