"""From whatever `export` takes, or from what it made, to a model with its preprocessing."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.bundle import Bundle
from edgekit.errors import ExportError, SourceError, one_line
from edgekit.files import MANIFEST
from edgekit.ingraph import TOP, Raw, with_preprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping


def export_raw(
    source: Any,
    out: str | Path | None = None,
    *,
    variant: str | None = None,
    encoded: bool = False,
    preprocessing: str | Path | Mapping[str, Any] | None = None,
    top: int = TOP,
    force: bool = False,
    **options: Any,
) -> Raw:
    """Export a source with its pre- and post-processing in the graph.

    A bundle's folder or an `.onnx` file is not exported again: its `variant` gets the
    preprocessing. `preprocessing` is a mapping or a JSON file, `options` are those of
    `edgekit.export`, the rest those of `with_preprocessing`.

    Raises what `edgekit.export` and `with_preprocessing` raise.
    """
    if isinstance(preprocessing, (str, Path)):
        preprocessing = read(Path(preprocessing))
    wanted: dict[str, Any] = {"encoded": encoded, "preprocessing": preprocessing, "top": top}
    if is_exported(source):
        return with_preprocessing(source, variant=variant, out=out, force=force, **wanted)
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


def read(path: Path) -> dict[str, Any]:
    """Read a preprocessing from a JSON file; raises `ExportError` where it is no JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(
            f"The preprocessing {str(path)!r} cannot be read ({one_line(error)}): give a JSON file."
        ) from error
    if not isinstance(value, dict):
        raise ExportError(
            f"The preprocessing {str(path)!r} is no JSON object: give one in the words of a "
            "bundle's manifest."
        )
    return value


def _bundle(made: Any) -> Bundle:
    assert isinstance(made, Bundle)
    return made
