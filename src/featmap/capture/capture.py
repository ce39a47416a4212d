"""The capture of a module as a graph, by `torch.export`.

torch runs the module's forward once on tensors without values and records every operator with the module call that
made it. The module itself is left as it was: what its forward wrote and its training modes are restored whatever
happens, and the random state is not advanced. What cannot be expressed as one graph is refused, and the error names
the line that is the reason.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from contextvars import copy_context
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import CustomObjArgument, OutputKind
from torch.fx import Node as FxNode
from torch.utils import _pytree as pytree

from featmap.capture.functional import functional, is_pass_through
from featmap.capture.gradient_record import MARK, gradients_recorded
from featmap.capture.inline import WITHOUT_GRADIENTS, check_no_inner_graphs
from featmap.capture.joined.apart import apart
from featmap.capture.module_paths import ModulePaths
from featmap.capture.passing import passing_recorded
from featmap.capture.plain_call import copied, plain_call
from featmap.capture.refusal import explain_failure
from featmap.capture.size_reads import SizeReads
from featmap.capture.state.data_writes import DataWrites
from featmap.capture.state.module_state import unchanged
from featmap.capture.state.torch_state import same_random_state, same_settings
from featmap.capture.state.written_state import AttributeWrites, written_buffers, written_statistics
from featmap.capture.unfit import check_capturable
from featmap.capture.value_sizes import check_sizes
from featmap.errors import CaptureRefused, FeatmapError
from featmap.graph.graph import (
    Graph,
    ModuleCall,
    Node,
    Reference,
    SizeRead,
    TensorSpec,
    Weight,
    WeightSpec,
    Written,
    read_by,
    spec_of,
)
from featmap.graph.map_axes import with_map_axes
from featmap.graph.pruned import pruned
from featmap.graph.schema import is_operator


def capture(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Graph, ExportedProgram]:
    """The module as a graph, and torch's own record of it, which holds the module's tensors.

    Raises: CaptureRefused: the forward cannot be expressed as one graph, for example because it branches on values, or
    the size of a value depends on values; InputError: the forward refuses an input of this shape.
    """
    check_capturable(module, pytree.tree_leaves((args, kwargs)))
    with torch.inference_mode(False), in_evaluation(module), same_random_state(), quiet():
        program, size_reads, written = _exported(module, args, kwargs)
        return graph_of(program, size_reads, module, written), program


Recorded = tuple[ExportedProgram, tuple[SizeRead, ...], tuple[Written, ...]]


def _exported(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recorded:
    """torch's record of one forward, the lines that read sizes in it, and the attributes that it wrote.

    Gradients are on, so that blocks of the forward without them can be told apart. Autograd forbids some writes through
    views that are fine without gradients; it allows them where no weight requires a gradient.
    """
    try:
        return _recorded(module, args, kwargs)
    except CaptureRefused:
        raise
    except Exception:
        try:
            with _wanting_no_gradients(module):
                args, kwargs = pytree.tree_map_only(Tensor, Tensor.detach, (args, kwargs))
                return _recorded(module, args, kwargs)
        except Exception as error:
            raise explain_failure(error, module, pytree.tree_leaves((args, kwargs))) from error


def _recorded(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recorded:
    reads, writes = SizeReads(), AttributeWrites(module)
    # The mode that watches for size reads is the innermost: it finds the reader from the frame that calls it.
    with (
        unchanged(module),
        same_settings(),
        writes,
        gradients_recorded(),
        passing_recorded(),
        DataWrites(),
        reads,
        torch.enable_grad(),
    ):
        # What the forward sets in context variables is discarded with the copy of the context.
        program = copy_context().run(torch.export.export, module, args, kwargs, strict=False)
        return program, reads.found, writes.found


@contextmanager
def _wanting_no_gradients(module: nn.Module) -> Generator[None]:
    """Turns `requires_grad` of the module's weights off, and afterwards on again where it was on."""
    tensors = (*module.parameters(), *module.buffers())
    wanting = [tensor for tensor in tensors if tensor.requires_grad and tensor.is_leaf]
    try:
        for tensor in wanting:
            tensor.requires_grad_(False)
        yield
    finally:
        for tensor in wanting:
            tensor.requires_grad_(True)


@contextmanager
def in_evaluation(module: nn.Module) -> Generator[None]:
    """Puts the module into evaluation mode; afterwards every submodule has its former mode again."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def quiet() -> Generator[None]:
    """Keeps torch's own warnings, log lines and dumped graphs about exporting from the user's terminal."""
    logger = logging.getLogger("torch")
    level = logger.level
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)


def graph_of(
    program: ExportedProgram,
    size_reads: tuple[SizeRead, ...] = (),
    module: nn.Module | None = None,
    written: tuple[Written, ...] = (),
) -> Graph:
    """An exported program as a `Graph`: functional, without operators that change nothing and without unread values.

    Arguments: module: what was exported, if available; it knows the paths of parts that were called in a slice.
    written: the attributes that the forward wrote.
    Raises: CaptureRefused: a value's size depends on values, or a part is a loop or branch of inner graphs.
    """
    check_sizes(program)
    with quiet():
        program = _functional(program)
    check_no_inner_graphs(program)
    return replace(_Builder(program, ModulePaths(module)).graph(size_reads, written), other_names=_other_names(module))


def _other_names(module: nn.Module | None) -> dict[str, tuple[str, ...]]:
    """The other paths of modules that have several: the graph has the one by which the forward called them."""
    paths: defaultdict[int, list[str]] = defaultdict(list)
    for path, part in () if module is None else module.named_modules(remove_duplicate=False):
        paths[id(part)].append(path)
    return {path: tuple(same) for same in paths.values() if len(same) > 1 for path in same}


def _functional(program: ExportedProgram) -> ExportedProgram:
    try:
        return functional(program)
    except FeatmapError:
        raise
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        raise CaptureRefused(
            f"The model writes into its tensors in a way that no graph holds: {type(error).__name__}: {first}",
            "Let it make new tensors instead. torch's CrossMapLRN2d writes so; its LocalResponseNorm can be captured.",
        ) from error


def _refuse_object(fx_node: FxNode) -> None:
    reader = getattr(next(iter(fx_node.users)).target, "__name__", "The model").partition(".")[0]
    kind = fx_node.meta["val"].class_fqn.removeprefix("torch._C.")
    raise CaptureRefused(
        f"{reader} reads a {kind}, an object beside the tensors, which no graph holds.",
        "Let it do without: random numbers come from torch's own generator, where none is given.",
    )


class _Builder:
    """Turns torch's nodes into ours, one by one."""

    def __init__(self, program: ExportedProgram, paths: ModulePaths) -> None:
        self.program = program
        self.stacks = paths.stacks([fx_node for fx_node in program.graph.nodes if fx_node.op == "call_function"])
        self.nodes: list[Node] = []
        self.value: dict[FxNode, Reference | Weight] = {}
        self.removed: dict[tuple[ModuleCall, ...], int] = {}
        self.own_gradients: dict[int, str] = {}
        self.statistics: list[str] = []
        signature = program.graph_signature
        self.weight_names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self.weight_names.update(signature.inputs_to_lifted_tensor_constants)
        self.canonical = _first_names(program)
        self.parameters = set(signature.inputs_to_parameters.values())
        self.buffers = set(signature.inputs_to_buffers.values())
        self.weights: dict[str, WeightSpec] = {}

    def graph(self, size_reads: tuple[SizeRead, ...], written: tuple[Written, ...]) -> Graph:
        inputs: list[int] = []
        for fx_node in self.program.graph.nodes:
            if fx_node.op == "placeholder":
                self._placeholder(fx_node, inputs)
            elif fx_node.op == "call_function" and _is_live(fx_node):
                self._operator(fx_node)
        outputs = self._outputs()
        # What is read before it is written may be of before the first call.
        state = [each for each in written if not each.is_recomputed or each.name in self.weights]
        graph = Graph(
            tuple(self.nodes),
            tuple(inputs),
            outputs,
            self.weights,
            self._unflatten(),
            self.removed,
            size_reads,
            self.own_gradients,
            written=(*written_buffers(self.program, self.statistics), *state),
        )
        return apart(with_map_axes(pruned(graph)))

    def _placeholder(self, fx_node: FxNode, inputs: list[int]) -> None:
        name = self.weight_names.get(fx_node.name)
        if isinstance(fx_node.meta.get("val"), CustomObjArgument):
            _refuse_object(fx_node)
        if name is None and not isinstance(fx_node.meta.get("val"), torch.Tensor):
            # A number or string among the inputs: it is a constant where it was used.
            return
        if name is None:
            self.value[fx_node] = self._add("input", None, (fx_node.name,), {}, fx_node)
            inputs.append(len(self.nodes) - 1)
            return
        name = self.canonical.get(name, name)
        spec = spec_of(fx_node.meta["val"])
        assert isinstance(spec, TensorSpec)
        kind = "parameter" if name in self.parameters else "buffer" if name in self.buffers else "constant"
        self.weights[name] = WeightSpec(kind, spec)
        self.value[fx_node] = Weight(name)

    def _operator(self, fx_node: FxNode) -> None:
        if fx_node.target is MARK:
            self._mark(fx_node)
            return
        if is_pass_through(fx_node):
            source = self.value[fx_node.all_input_nodes[0]]
            self.value[fx_node] = source
            if isinstance(source, Reference):
                self.removed[self.stacks[fx_node]] = source.index
            return
        copy = copied(fx_node)
        if copy is not None:
            self.value[fx_node] = self.value[copy]
            return
        target, args, kwargs = plain_call(fx_node)
        args = self._arguments(args)
        for position in written_statistics(target, args):
            self.statistics += self._weight_names(args[position])
            args[position] = None
        kwargs = {name: self._arguments(value) for name, value in kwargs.items()}
        name = str(target) if is_operator(target) else getattr(target, "__name__", str(target))
        self.value[fx_node] = self._add(name, target, tuple(args), kwargs, fx_node)
        if WITHOUT_GRADIENTS in fx_node.meta.get("custom", ()):
            self.own_gradients[len(self.nodes) - 1] = "torch.no_grad"

    def _weight_names(self, leaf: Reference | Weight) -> tuple[str, ...]:
        return self.nodes[leaf.index].weights if isinstance(leaf, Reference) else (leaf.name,)

    def _mark(self, fx_node: FxNode) -> None:
        """Replaces the mark by the marked value; the mark itself is kept beside the graph."""
        source = self.value[fx_node.all_input_nodes[0]]
        self.value[fx_node] = source
        if isinstance(source, Reference):
            self.own_gradients[source.index] = str(fx_node.args[1])

    def _arguments(self, value: Any) -> Any:
        if isinstance(value, FxNode):
            return self.value[value]
        if isinstance(value, list | tuple):
            return [self._arguments(item) for item in value]
        return value

    def _add(self, name: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], fx_node: FxNode) -> Reference:
        read = read_by(args, kwargs)
        depends = name == "input" or any(self.nodes[index].depends_on_input for index in read["inputs"])
        index = len(self.nodes)
        spec = spec_of(fx_node.meta.get("val"))
        stack = self.stacks.get(fx_node, ())
        self.nodes.append(Node(index, name, target, args, kwargs, stack, spec, depends_on_input=depends, **read))
        return Reference(index)

    def _outputs(self) -> tuple[int | None, ...]:
        # Taken from the graph: the signature still has the names from before in-place operators were made functional.
        returned = next(fx_node for fx_node in self.program.graph.nodes if fx_node.op == "output").args[0]
        specs = self.program.graph_signature.output_specs
        own = [value for value, spec in zip(returned, specs, strict=True) if spec.kind is OutputKind.USER_OUTPUT]
        values = (self.value.get(value) if isinstance(value, FxNode) else None for value in own)
        return tuple(value.index if isinstance(value, Reference) else None for value in values)

    def _unflatten(self) -> Callable[[list[Any]], Any]:
        structure = self.program.call_spec.out_spec
        if structure is None:
            return lambda values: values[0]
        return lambda values: pytree.tree_unflatten(values, structure)


def _first_names(program: ExportedProgram) -> dict[str, str]:
    """For every tensor that has several names (a module registered twice) the first of them."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(tensor), name) for name, tensor in program.state_dict.items()}


def _is_live(fx_node: FxNode) -> bool:
    """Whether anything reads the value; checks without a result (`_assert_...`) are dropped."""
    return bool(fx_node.users)
