"""The runner: an open model on a provider.

A provider that was asked for and cannot run the whole model is an error that names the reason;
`allow_fallback` is explicit, and `Runner.placement` says what ran where.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from edgekit.errors import ModelError
from edgekit.runtime.session import (
    declared_signature,
    engine_errors,
    model_file,
    open_session,
    plan_session,
    read_signature,
)
from edgekit.runtime.shapes import FixedShapes, fix_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from edgekit.bundle import Bundle
    from edgekit.runtime.placement import Opened, Placement
    from edgekit.signature import Outputs, Signature


class ProviderOptions(TypedDict, total=False):
    """Where a model is run: the keywords of `open_runner` that `cli.options.run_options` gives."""

    provider: str | Sequence[str]
    allow_fallback: bool
    axes: Mapping[str, int] | None
    provider_options: Mapping[str, Any] | None


class RunOptions(ProviderOptions, total=False):
    """How a model is run: the keywords of `open_runner` that others pass on to it."""

    threads: int | None


class Runner:
    """An open model: `run(feeds) -> outputs`. Made by `edgekit.open`, closed by `with`.

    `run` may be called from several threads. The arrays that it returns belong to the caller.
    """

    def __init__(
        self, session: Any, path: Path, signature: Signature, opened: Callable[[], Opened]
    ) -> None:
        self.path = path
        self.signature = signature
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

    def run(self, feeds: Mapping[str, Any]) -> Outputs:
        """Check the feed against the signature and run it: `{output name: array}`.

        Raises `FeedError` for a feed that does not fit, `ModelError` where the engine fails.
        """
        checked = self.signature.check(feeds)
        if self._session is None:
            raise ModelError(f"The runner of {str(self.path)!r} is closed: open it again.")
        try:
            values = self._session.run(self._names, checked)
        except Exception:
            # Not around the run: entering a context costs as much as the check of the feed.
            with engine_errors(self.path, self.provider):
                raise
        return dict(zip(self._names, values, strict=True))

    def close(self) -> None:
        """Let go of the session and its memory; a second call does nothing."""
        last = self._opened()._replace(session=None)
        self._opened = lambda: last
        self._session = None

    def __enter__(self) -> Runner:
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
) -> Runner:
    """Open a bundle's variant, or an `.onnx` file, on a provider, or on several in order.

    `provider=("tensorrt", "cuda")` lets the second run what the first cannot, `allow_fallback`
    puts the CPU last, `provider_options` is `{"KEY": value}`, or `{"PROVIDER": {"KEY": value}}`
    for one of several. `threads` is onnxruntime's intra-op count (None leaves it to onnxruntime),
    `axes` fixes free axes to a length. A provider that takes fixed shapes only gets the other
    lengths from each feed, and a session for each set of them, opened by the first `run`.

    Raises `ProviderError` where the providers cannot run all of the model (`run` raises it where
    lengths are fixed by the feed), `FeedError` for an axis that the model does not have,
    `ModelError` for a file that cannot be opened.
    """
    plan = plan_session(
        model_file(model, variant),
        provider,
        threads=threads,
        allow_fallback=allow_fallback,
        provider_options=provider_options,
    )
    fixed_shapes = any(row.fixed_shapes for row in plan.rows)
    if axes or fixed_shapes:
        signature = fix_axes(declared_signature(plan.path), axes or {})
        if fixed_shapes and signature.free_axes:
            shapes = FixedShapes(plan, signature, axes or {})
            return Runner(shapes, plan.path, signature, shapes.opened)
    opened = open_session(plan, axes)
    if axes:
        fixed = (dict(axes),)
        opened = opened._replace(placement=replace(opened.placement, fixed=fixed))
    signature = read_signature(opened.session, plan.path)
    return Runner(opened.session, plan.path, signature, lambda: opened)
