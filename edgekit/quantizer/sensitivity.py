"""How much damage each layer does when it alone is quantised, and which to leave in float.

A recipe that fixes its ranges by calibration is applied once, and a copy of the float model with
every rounding behind a switch (`switches`) is run once a layer. Any other recipe is applied once a
layer, with all others excluded, to the `MOST_FILES` layers with the most weights.

Left of the wall: it needs onnx-ir.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from edgekit.bundle import Bundle
from edgekit.debug import graphs
from edgekit.errors import QuantizeError
from edgekit.metrics import evaluate
from edgekit.parity import TOLERANCES
from edgekit.quantizer import (
    QuantizeOptions,
    choose,
    graph,
    quantize,
    recipes,
    switches,
    tools,
)
from edgekit.quantizer.samples import likeness, samples, settled
from edgekit.runtime.runner import open_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edgekit.metrics import Answering
    from edgekit.quantizer.recipes import Recipe
    from edgekit.runtime.runner import Runner
    from edgekit.signature import Feeds, Outputs, Signature

    #: Opens the model with the layer of that number quantised alone.
    Opened = Callable[[int], contextlib.AbstractContextManager[Answering]]

#: Samples that a layer is judged on.
ROWS = 16
#: Layers, from the worst, whose metric is taken: it costs a pass over the held-out data each.
METRIC_LAYERS = 8
#: Tools whose nodes are those of the prepared model: what was fused has other weights there.
PREPARING = ("dynamic", "npu", "static")
#: Operators that round inside of themselves: no switch can stand before them.
BY_KERNEL = ("DynamicQuantizeLinear", "DynamicQuantizeLSTM", "MatMulNBits")
#: Files that are made at most where a recipe has to be applied for each layer anew.
MOST_FILES = 32


@dataclass(frozen=True)
class Damage:
    """One layer, and what is lost when it alone is quantised.

    `node` is its name for `exclude`, `layer` the path of its Keras layer where the name has one,
    `parameters` the elements of its constant inputs. `sqnr_db` is that of the outputs, the least
    of several, in dB; `metric` the task's, None where it was not taken.
    """

    node: str
    op_type: str
    layer: str | None
    parameters: int
    sqnr_db: float
    metric: float | None = None


@dataclass(frozen=True)
class Ranking:
    """The layers of a model that a recipe quantises, the one that does the most damage first.

    `float_metric` is the float model's, `all_sqnr_db` and `all_metric` are of the file with every
    layer quantised. `metric_name` is None where there was no metric to take.
    """

    model: str
    recipe: str
    samples: int
    metric_name: str | None
    float_metric: float | None
    all_sqnr_db: float
    all_metric: float | None
    layers: tuple[Damage, ...]
    notes: tuple[str, ...] = ()


def rank(
    model: str | Path | Bundle,
    recipe: str = "static-int8",
    *,
    score: Callable[[Answering], float | None] | None = None,
    metric_name: str | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[float, str], None] | None = None,
    **options: Unpack[QuantizeOptions],
) -> Ranking:
    """Rank the layers of a bundle's float variant, or of an `.onnx` file, by the damage of each.

    `score` gives the metric, higher is better, of something that has `run` and `signature`; left
    out, a bundle's own on its held-out data. `stop` is asked before each layer and ends the
    ranking early. `QuantizeOptions` are those of `quantize`.

    Raises what `quantize` raises, and `QuantizeError` where the recipe quantises no layer.
    """
    row = recipes.resolve(recipe)
    if row.needs_exclusions:  # it is this one, but for the layers that are looked for here
        row = recipes.resolve("static-int8")
    origin, source = _source(model)
    if score is None and origin is not None:
        bundle = origin
        metric_name = bundle.manifest.metric

        def score(runner: Answering) -> float | None:
            return evaluate(bundle, runner)

    show = progress or (lambda part, text: None)
    show(0.0, f"quantizing every layer with {row.name}")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        runner = stack.enter_context(open_runner(source, threads=1))
        options = settled(origin, runner.signature, options)
        notes = []
        if options.get("equalize") or options.get("correct_bias"):
            # Both change float weights, which are what the roundings are compared with.
            options = {**options, "equalize": False, "correct_bias": False}
            notes.append("equalisation and bias correction are left out of the ranking")
        whole = folder / "all.onnx"
        quantize(origin or source, row.name, out=whole, **options)
        feeds = samples(origin, runner.signature, options, ROWS)
        judge = _Judge(feeds, runner.run(feeds), score or (lambda runner: None))
        with open_runner(whole, threads=1) as every:
            all_sqnr, all_metric = judge.sqnr_db(every), judge.score(every)
        layers, opened, more = _layers(row, origin or source, source, whole, folder, options, stack)
        found, left = _ranked(layers, opened, judge, stop, show)
        notes += more
        if left:
            notes.append(f"the time ended before {left} of the layers")
        return Ranking(
            model=str(origin.path if origin else source),
            recipe=row.name,
            samples=_rows(feeds),
            metric_name=metric_name if all_metric is not None else None,
            float_metric=judge.score(runner),
            all_sqnr_db=all_sqnr,
            all_metric=all_metric,
            layers=found,
            notes=tuple(notes),
        )


def choose_exclusions(
    ranking: Ranking, *, min_sqnr_db: float, most: int | None = None
) -> tuple[str, ...]:
    """Give the fewest layers, from the worst, without which the outputs should keep an SQNR.

    The noise of the layers is taken to add up: what is left of it is the sum of the powers
    `10 ** (-sqnr_db / 10)` of the layers that stay quantised. That is a prediction: quantise and
    measure. At most `most` are given, and never all.
    """
    powers = [10 ** (-layer.sqnr_db / 10) for layer in ranking.layers]
    limit = min(len(powers) - 1, len(powers) if most is None else most)
    allowed = 10 ** (-min_sqnr_db / 10)
    count = 0
    while count < limit and math.fsum(powers[count:]) > allowed:
        count += 1
    return tuple(layer.node for layer in ranking.layers[:count])


def exclusions(
    model: str | Path | Bundle,
    recipe: str = "static-int8",
    *,
    min_sqnr_db: float = TOLERANCES["int8"].min_sqnr_db or 0.0,
    **options: Unpack[QuantizeOptions],
) -> tuple[str, ...]:
    """Rank the layers, and find by measuring how many of the worst have to stay in float.

    It starts with what `choose_exclusions` predicts and takes twice as many until the outputs keep
    `min_sqnr_db`; where nothing does, all but the best layer. None are given where the recipe keeps
    as much without.
    """
    origin, source = _source(model)
    with open_runner(source, threads=1) as runner, tempfile.TemporaryDirectory() as folder:
        options = settled(origin, runner.signature, options)
        ranking = rank(origin or source, recipe, score=lambda runner: None, **options)
        if ranking.all_sqnr_db >= min_sqnr_db:
            return ()
        feeds = samples(origin, runner.signature, options, ROWS)
        judge = _Judge(feeds, runner.run(feeds), lambda runner: None)
        names = [layer.node for layer in ranking.layers][:-1]
        count = len(choose_exclusions(ranking, min_sqnr_db=min_sqnr_db)) or 1
        while count < len(names):
            given: QuantizeOptions = {**options, "exclude": names[:count]}
            path = Path(folder) / "mixed.onnx"
            quantize(origin or source, recipe, out=path, force=True, **given)
            with open_runner(path, threads=1) as mixed:
                if judge.sqnr_db(mixed) >= min_sqnr_db:
                    break
            count *= 2
        return tuple(names[:count])


class _Judge:
    """Compares what a model answers with what the float model did."""

    def __init__(
        self, feeds: Feeds, expected: Outputs, score: Callable[[Answering], float | None]
    ) -> None:
        self.feeds, self.expected, self.score = feeds, expected, score

    def sqnr_db(self, runner: Answering) -> float:
        """Give the SQNR of what a model answers."""
        return likeness(self.expected, runner.run(self.feeds))


class _Switched:
    """The model with switches, as the model that it was made of, with one layer rounded."""

    def __init__(self, runner: Runner, signature: Signature, layers: int, number: int) -> None:
        self.runner, self.signature = runner, signature
        self.flags = np.arange(layers) == number

    def run(self, feeds: Mapping[str, Any], /) -> Outputs:
        """Run with the switches set."""
        return self.runner.run({**feeds, switches.SWITCHES: self.flags})


def _source(model: str | Path | Bundle) -> tuple[Bundle | None, Path]:
    if not isinstance(model, Bundle):
        path = Path(model)
        if not path.is_dir():
            return None, path
        model = Bundle.open(path)
    floats = model.floats
    if not floats:
        raise QuantizeError(
            f"The bundle {str(model.path)!r} has no fp32 variant to rank: export it again."
        )
    return model, model.file(floats[0].file)


def _rows(feeds: Feeds) -> int:
    return max((len(array) for array in feeds.values() if array.ndim), default=1)


def _layers(
    recipe: Recipe,
    model: Bundle | Path,
    source: Path,
    whole: Path,
    folder: Path,
    options: QuantizeOptions,
    stack: contextlib.ExitStack,
) -> tuple[list[Damage], Opened, list[str]]:
    """Give the layers without their damage, a way to open each alone, and notes."""
    names = graph.load(source)
    graph.name_nodes(names)
    graph.save(names, folder / "named.onnx")
    quantised = graph.load(whole)
    if graph.opset(names) < graph.opset(quantised):
        named = folder / "named.onnx"
        graph.raise_opset(named, named, graph.opset(quantised))
    prepared = folder / "named.onnx"
    if recipe.tool in PREPARING:
        prepared = folder / "plain.onnx"
        tools.preprocess(folder / "named.onnx", prepared)
    plain = graph.load(prepared)
    graph.name_nodes(plain)
    nodes = switches.switchable(plain, quantised, _taken(recipe))
    by_kernel = any(node.op_type in BY_KERNEL for node in graph.all_nodes(quantised))
    if nodes and not by_kernel:
        layers = [_layer(names, plain, node) for node in nodes]
        switches.write(plain, quantised, nodes, folder / "switched.onnx")
        runners = [
            stack.enter_context(open_runner(path, threads=1))
            for path in (source, folder / "switched.onnx")
        ]
        return layers, _by_switch(runners[0].signature, runners[1], len(nodes)), []
    kinds = {*recipe.core, *recipe.stored}
    heavy = [node for node in plain.graph if node.op_type in kinds and _weight_of(node)]
    layers = [_layer(names, plain, node) for node in sorted(heavy, key=_weight_of, reverse=True)]
    if not layers:
        raise QuantizeError(
            f"The recipe {recipe.name!r} quantises no layer of {str(source)!r} that could be left "
            "out: there is nothing to rank."
        )
    notes = []
    if len(layers) > MOST_FILES:
        notes.append(f"{len(layers) - MOST_FILES} layers with fewer weights were not ranked")
    ranked = layers[:MOST_FILES]
    return ranked, _by_file(recipe, model, layers, folder, options), notes


def _taken(recipe: Recipe) -> Callable[[Any], bool]:
    """Tell a layer from what only goes along: a Relu rounds nothing that is not rounded already."""
    kinds = {*recipe.core, *recipe.stored, *choose.JOINS}
    return lambda node: recipe.tool == "npu" or node.op_type in kinds


def _layer(names: Any, plain: Any, node: Any) -> Damage:
    described = graphs.describe(plain, node)
    # What was fused has a name that continues the one in the model, which `exclude` takes.
    known = [n.name for n in names.graph if choose.matches(node.name, n.name)]
    name = max(known, key=len, default=node.name)
    return Damage(name, node.op_type, described.layer, _weight_of(node), 0.0)


def _weight_of(node: Any) -> int:
    """Count the elements of a node's constant inputs."""
    return sum(
        math.prod(value.const_value.shape.numpy())
        for value in node.inputs
        if value is not None and value.const_value is not None
    )


def _by_switch(signature: Signature, switched: Runner, count: int) -> Opened:
    """Stand for each layer alone by the one open model with switches."""

    @contextlib.contextmanager
    def opened(number: int) -> Iterator[Answering]:
        yield _Switched(switched, signature, count, number)

    return opened


def _by_file(
    recipe: Recipe,
    model: Bundle | Path,
    layers: Sequence[Damage],
    folder: Path,
    options: QuantizeOptions,
) -> Opened:
    """Apply the recipe to one layer at a time."""

    @contextlib.contextmanager
    def opened(number: int) -> Iterator[Answering]:
        others = [layer.node for i, layer in enumerate(layers) if i != number]
        path = folder / f"layer{number}.onnx"
        given: QuantizeOptions = {**options, "exclude": [*options.get("exclude", ()), *others]}
        quantize(model, recipe.name, out=path, force=True, **given)
        with open_runner(path, threads=1) as runner:
            yield runner

    return opened


def _ranked(
    layers: Sequence[Damage],
    opened: Opened,
    judge: _Judge,
    stop: Callable[[], bool],
    show: Callable[[float, str], None],
) -> tuple[tuple[Damage, ...], int]:
    """Give the layers from the worst, and how many the time ended before.

    What the recipe turns out not to quantise is no layer of it.
    """
    left = 0
    found: list[tuple[int, Damage]] = []
    for number, layer in enumerate(layers):
        if stop():
            left = len(layers) - number
            break
        show(number / len(layers), f"{layer.node} alone")
        with contextlib.suppress(QuantizeError), opened(number) as runner:
            found.append((number, dataclasses.replace(layer, sqnr_db=judge.sqnr_db(runner))))
    found.sort(key=lambda pair: (pair[1].sqnr_db, pair[0]))
    for place, (number, layer) in enumerate(found[:METRIC_LAYERS]):
        if stop():
            break
        show(1.0, f"metric of {layer.node} alone")
        with opened(number) as runner:
            scored = dataclasses.replace(layer, metric=judge.score(runner))
            found[place] = (number, scored)
    return tuple(layer for _, layer in found), left
