"""The runner: an open model on a provider.

A provider that was asked for and cannot run the whole model is an error that names the reason;
`allow_fallback` is explicit, and `Runner.placement` says what ran where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from edgekit.errors import ModelError, ProviderError
from edgekit.runtime import providers
from edgekit.runtime.placement import Placement, nodes_by_provider, ran_on
from edgekit.runtime.session import engine_errors, model_file, open_session, read_signature

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from edgekit.bundle import Bundle
    from edgekit.signature import Outputs


class RunOptions(TypedDict, total=False):
    """How a model is run: the keywords of `open_runner` that others pass on to it."""

    provider: str
    threads: int | None
    allow_fallback: bool
    axes: Mapping[str, int] | None


class Runner:
    """An open model: `run(feeds) -> outputs`. Made by `edgekit.open`, closed by `with`.

    `run` may be called from several threads. The arrays that it returns belong to the caller.
    """

    def __init__(self, session: Any, path: Path, provider: str, placement: Placement) -> None:
        self.path = path
        self.provider = provider
        self.placement = placement
        self.signature = read_signature(session, path)
        self._names = [spec.name for spec in self.signature.outputs]
        self._session: Any = session

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
    provider: str = "cpu",
    threads: int | None = None,
    allow_fallback: bool = False,
    axes: Mapping[str, int] | None = None,
) -> Runner:
    """Open a bundle's variant, or an `.onnx` file, on a provider.

    `threads` is onnxruntime's intra-op count (None leaves it to onnxruntime), `axes` fixes free
    axes to a length. Raises `ProviderError` where the provider cannot run all of the model and
    `allow_fallback` is off, `ModelError` for a file that cannot be opened.
    """
    path = model_file(model, variant)
    row = providers.resolve(provider)
    reason: str | None = None
    try:
        providers.check(row)
        session = open_session(path, row, threads=threads, strict=not allow_fallback, axes=axes)
    except ProviderError as error:
        if not allow_fallback or row.alias == "cpu":
            raise
        reason = str(error)
        row = providers.PROVIDERS["cpu"]
        session = open_session(path, row, threads=threads, strict=True, axes=axes)
    placement = Placement(nodes_by_provider(session, row), reason)
    return Runner(session, path, ran_on(placement, row), placement)
