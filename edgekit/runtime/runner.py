"""The runner: an open model on a provider.

A provider that was asked for and cannot run the whole model is an error that names the reason;
`allow_fallback` is explicit, and `Runner.placement` says what ran where. What only some runs need
(streams, replicas, outputs of the caller, fixed shapes) is imported by them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from edgekit.errors import FeedError, ModelError
from edgekit.runtime.session import (
    declared_signature,
    engine_errors,
    model_file,
    open_session,
    plan_session,
    read_signature,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from edgekit.bundle import Bundle
    from edgekit.runtime.placement import Opened, Placement
    from edgekit.signature import Array, Feeds, Outputs, Signature


class ProviderOptions(TypedDict, total=False):
    """Where a model is run: the keywords of `open_runner` that `cli.options.run_options` gives."""

    provider: str | Sequence[str]
    allow_fallback: bool
    axes: Mapping[str, int] | None
    provider_options: Mapping[str, Any] | None


class RunOptions(ProviderOptions, total=False):
    """How a model is run: the keywords of `open_runner` that others pass on to it."""

    threads: int | None
    optimization: str


class Runner:
    """An open model: `run(feeds) -> outputs`. Made by `edgekit.open`, closed by `with`.

    All of it may be called from several threads; a run that is under way when another thread
    closes the runner ends well. The arrays that it returns belong to the caller.
    """

    def __init__(
        self,
        session: Any,
        path: Path,
        signature: Signature,
        opened: Callable[[], Opened],
        replicas: int = 1,
    ) -> None:
        self.path = path
        self.signature = signature
        self.replicas = replicas
        self._names = [spec.name for spec in signature.outputs]
        self._session: Any = session
        self._opened = opened

    @property
    def provider(self) -> str:
        """The alias of the provider that runs most of the nodes."""
        return self._opened().provider

    @property
    def placement(self) -> Placement:
        """What runs where; of a provider of fixed shapes it is known after the first run."""
        return self._opened().placement

    def run(self, feeds: Mapping[str, Any], *, out: Mapping[str, Array] | None = None) -> Outputs:
        """Check the feed against the signature and run it: `{output name: array}`.

        Outputs that `out` has an array for are written into it, which saves the copy of large ones.
        Raises `FeedError` for a feed or an `out` that does not fit, `ModelError` where the engine
        fails or the runner is closed.
        """
        checked = self.signature.check(feeds)
        return self._run(checked) if out is None else self._run_into(checked, out)

    def run_batches(
        self, items: Iterable[Mapping[str, Any]], *, batch: int | None = None
    ) -> Iterator[Outputs]:
        """Run a stream of feeds of any number of samples: the outputs of each, in order.

        Both sides may be larger than memory: a few items are held at a time, and none is taken
        before an answer is asked for. With `batch` the model is run on that many samples at a
        time, cut and joined across items, whose outputs come back as one array each all the same.
        With replicas the runs are spread over their threads; items are taken in the caller's.

        Raises what `run` raises, in the place of the outputs: `FeedError` says which item it was.
        """
        self._open_session()
        if batch is not None and batch < 1:
            raise ValueError(f"batch is {batch}: give the number of samples of a run, 1 or more")
        if batch is not None and not self.signature.batched:
            raise FeedError(
                f"The stream was to be run in batches of {batch}, and not all inputs and outputs "
                f"of the model have one free first axis, {self.signature}: leave `batch` out."
            )
        checked = self._checked(items)
        if batch is None:
            return self._map(self._run, checked)
        from edgekit.runtime import stream

        runs = stream.regroup(checked, batch)
        return stream.restore(self._map(lambda run: (self._run(run[0]), run[1]), runs))

    def warmup(
        self,
        feeds: Mapping[str, Any] | None = None,
        *,
        batch: int = 1,
        axes: Mapping[str, int] | None = None,
        runs: int = 2,
    ) -> None:
        """Run the model before it counts: the first runs allocate, compile and plan.

        Without `feeds` it is seeded samples of the lengths `batch` and `axes`; a provider that
        compiles for each shape is to be warmed with the shapes that are coming. By default it
        runs twice, because onnxruntime plans its memory by what the first run of a shape took.
        """
        if feeds is None:
            from edgekit.feeds import make_feeds

            feeds = make_feeds(self.signature, reference=None, batch=batch, axes=axes or {}, seed=0)
        for _ in range(runs):
            self.run(feeds)

    def _open_session(self) -> Any:
        # Held by the run from here on: another thread may close the runner meanwhile.
        session = self._session
        if session is None:
            raise ModelError(f"The runner of {str(self.path)!r} is closed: open it again.")
        return session

    def _run(self, checked: Feeds) -> Outputs:
        session = self._session or self._open_session()
        try:
            values = session.run(self._names, checked)
        except Exception:
            # Not around the run: entering a context costs as much as the check of the feed.
            with engine_errors(self.path, self.provider):
                raise
        return dict(zip(self._names, values, strict=True))

    def _run_into(self, checked: Feeds, out: Mapping[str, Array]) -> Outputs:
        from edgekit.runtime import binding

        session = self._open_session()
        arrays = binding.arrays_of(self.signature, checked, out)
        with engine_errors(self.path, self.provider):
            of_lengths = getattr(session, "of_lengths", None)  # it has a session for each shape
            bare = session if of_lengths is None else of_lengths(checked)
            values = binding.run_into(bare, self.signature, checked, arrays)
        return dict(zip(self._names, values, strict=True))

    def _checked(self, items: Iterable[Mapping[str, Any]]) -> Iterator[Feeds]:
        for index, item in enumerate(items):
            try:
                checked = self.signature.check(item)
            except FeedError as error:
                raise FeedError(f"Item {index} of the stream (from 0): {error}") from error
            yield checked

    def _map(self, call: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        if self.replicas == 1:
            yield from map(call, items)
        else:
            from edgekit.runtime.pool import map_in_order

            yield from map_in_order(call, items, self.replicas)

    def close(self) -> None:
        """Let go of the session and its memory; a second call does nothing."""
        last = self._opened()._replace(session=None)
        self._opened = lambda: last
        self._session = None

    def __repr__(self) -> str:
        state = "closed" if self._session is None else f"on {self.provider}"
        return f"<Runner of {str(self.path)!r} {state}: {self.signature}>"

    def __enter__(self) -> Runner:
        self._open_session()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_runner(
    model: str | Path | Bundle,
    *,
    variant: str | None = None,
    provider: str | Sequence[str] = "cpu",
    threads: int | None = None,
    allow_fallback: bool = False,
    axes: Mapping[str, int] | None = None,
    provider_options: Mapping[str, Any] | None = None,
    optimization: str = "all",
    replicas: int = 1,
) -> Runner:
    """Open a bundle's variant, or an `.onnx` or `.ort` file, on one or several providers in order.

    `provider=("tensorrt", "cuda")` lets the second run what the first cannot, `allow_fallback`
    puts the CPU last, `provider_options` is `{"KEY": value}`, or `{"PROVIDER": {"KEY": value}}`
    for one of several. `threads` is onnxruntime's intra-op count (None leaves it to onnxruntime),
    `optimization` is what it does to the graph first (`session.OPTIMIZATIONS`: all, extended, basic
    or none), `axes` fixes free axes to a length. A provider that takes fixed shapes only gets the
    other lengths from each feed, and a session for each set of them, opened by the first `run`.

    `replicas` is how many runs of `Runner.run_batches` go on at a time, for throughput: threads
    over one session, each on one core, so that the weights are in memory once. `run` scales the
    same way over threads of your own.

    Raises `ProviderError` where the providers cannot run all of the model (`run` raises it where
    lengths are fixed by the feed), `FeedError` for an axis that the model does not have,
    `ModelError` for a file that cannot be opened.
    """
    if replicas < 1 or (replicas > 1 and threads not in (None, 1)):
        raise ValueError(
            f"replicas is {replicas} and threads {threads}: give a number of replicas, which have "
            "one thread each, or one replica and its threads"
        )
    plan = plan_session(
        model_file(model, variant),
        provider,
        threads=1 if replicas > 1 else threads,
        allow_fallback=allow_fallback,
        provider_options=provider_options,
        optimization=optimization,
    )
    fixed_shapes = any(row.fixed_shapes for row in plan.rows)
    declared = declared_signature(plan.path) if axes or fixed_shapes else None
    if declared is not None:
        from edgekit.runtime.shapes import FixedShapes, fix_axes

        signature = fix_axes(declared, axes or {})
        if fixed_shapes and signature.free_axes:
            shapes = FixedShapes(plan, signature, axes or {})
            return Runner(shapes, plan.path, signature, shapes.opened, replicas)
    opened = open_session(plan, axes)
    if axes:
        fixed = (dict(axes),)
        opened = opened._replace(placement=replace(opened.placement, fixed=fixed))
    signature = read_signature(opened.session, plan.path)
    return Runner(opened.session, plan.path, signature, lambda: opened, replicas)
