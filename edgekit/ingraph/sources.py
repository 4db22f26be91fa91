"""From whatever `export` takes, or from what it made, to a model with its preprocessing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from edgekit.bundle import Bundle
from edgekit.errors import SourceError
from edgekit.files import MANIFEST
from edgekit.ingraph import TOP, Raw, with_preprocessing


def export_raw(
    source: Any,
    out: str | Path | None = None,
    *,
    variant: str | None = None,
    encoded: bool = False,
    top: int = TOP,
    force: bool = False,
    **options: Any,
) -> Raw:
    """Export a source with its pre- and post-processing in the graph.

    A bundle's folder or an `.onnx` file is not exported again: its `variant` gets the
    preprocessing, its own or `preprocessing` and `labels` among the options. `options` are those of
    `edgekit.export`, the rest those of `with_preprocessing`.

    Raises what `edgekit.export` and `with_preprocessing` raise.
    """
    wanted: dict[str, Any] = {"encoded": encoded, "top": top}
    if is_exported(source):
        words: dict[str, Any] = {key: options.get(key) for key in ("preprocessing", "labels")}
        return with_preprocessing(source, variant=variant, out=out, force=force, **words, **wanted)
    if variant is not None:
        raise SourceError(
            f"The source {source!r} has no variants, {variant!r} was asked for: give its bundle."
        )
    from edgekit.exporter import export

    if out is not None and Path(out).suffix == ".onnx":
        with tempfile.TemporaryDirectory() as scratch:
            bundle = export(source, Path(scratch) / "bundle", **options)
            return with_preprocessing(_bundle(bundle), out=out, force=force, **wanted)
    return with_preprocessing(_bundle(export(source, out, force=force, **options)), **wanted)


def is_exported(source: Any) -> bool:
    """Tell whether a source is what `export` makes: a bundle, or an `.onnx` file."""
    if not isinstance(source, (str, Path)):
        return isinstance(source, Bundle)
    path = Path(source)
    return path.suffix == ".onnx" or (path / MANIFEST).is_file()


def _bundle(made: Any) -> Bundle:
    assert isinstance(made, Bundle)
    return made
