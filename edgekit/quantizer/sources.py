"""Where calibration data comes from: arrays, files, pictures, or code that gives one feed a time.

==========================  =====================================================================
a mapping, an array         inputs by name with a row a sample; one array for a model of one input
`.npz`, `.npy`              the same in a file
a folder of these           one file after the other
a picture, a folder of      through the bundle's own preprocessing, one at a time; where there are
them, subfolders too        more than are asked for, spread evenly over the sorted names
`module:function`,          a function without arguments that gives an iterable of feeds; a module
`file.py:function`          is looked for in the working folder too
an iterable, a function     the same from Python; each item is a feed, of one sample or of several
==========================  =====================================================================

Nothing here checks a feed against a model: `calibration` does.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import files, preprocess
from edgekit.errors import EdgekitError, FeedError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What `calibration=` takes: see the table above.
Source = str | Path | Mapping[str, Any] | Iterable[Any] | Callable[[], Iterable[Any]]
#: Arrays by input name (one array has the name ""), and what messages call where they are from.
Group = tuple[Mapping[str, Any], str]

ARRAYS = {".npz", ".npy"}
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
GIVEN = "the calibration data"


def is_code(source: Source) -> bool:
    """Tell whether the data comes out of running code: it may come once only, or differ each time.

    An existing path is a path, whatever its name.
    """
    if isinstance(source, str | Path):
        return ":" in str(source) and not Path(source).exists()
    return not isinstance(source, Mapping) and not hasattr(source, "__array__")


def describe(source: Source) -> str:
    """Name a source in a report: its path or `module:function`, else what kind of thing it is."""
    if isinstance(source, str | Path):
        return str(source)
    return "Python code" if is_code(source) else "arrays"


def groups(source: Source, spec: dict[str, Any] | None, samples: int) -> Iterator[Group]:
    """Give the arrays of a source piece by piece; raises `FeedError` where it cannot be read.

    `spec` is the preprocessing of a bundle's manifest, which pictures need; of a folder of them
    `samples` are read.
    """
    if is_code(source):
        yield from _from_code(source)
    elif isinstance(source, str | Path):
        yield from _from_path(Path(source), spec, samples)
    elif isinstance(source, Mapping):
        yield source, GIVEN
    else:
        yield {"": source}, GIVEN


def _from_path(path: Path, spec: dict[str, Any] | None, samples: int) -> Iterator[Group]:
    if not path.is_dir():
        found = [path]
    else:
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in ARRAYS) or _images(path)
    if found[0].suffix.lower() not in IMAGES:
        for file in found:
            yield files.load_arrays(file), repr(str(file))
        return
    if spec is None or preprocess.kind_of(spec) != "image":
        raise FeedError(
            f"The calibration data {str(path)!r} is of images, and the model comes with no image "
            "preprocessing: give a bundle that has it, or .npz or .npy files with inputs prepared "
            "as the model takes them."
        )
    for file in _spread(found, samples):
        yield preprocess.image(file, spec), repr(str(file))


def _images(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGES)
    if not found:
        raise FeedError(
            f"The folder {str(folder)!r} has no arrays and no images: give .npz, .npy or image "
            "files."
        )
    return found


def _spread(found: list[Path], samples: int) -> list[Path]:
    """Take as many as are asked for from all over a list: folders are often sorted by class."""
    if len(found) <= samples:
        return found
    return [found[i * len(found) // samples] for i in range(samples)]


def _from_code(source: Any) -> Iterator[Group]:
    name = repr(str(source)) if isinstance(source, str | Path) else "the generator"
    if isinstance(source, str | Path):
        source = _function(str(source))
    try:
        given = source() if callable(source) else source
        if isinstance(given, Mapping):
            yield given, name
            return
        for number, item in enumerate(given):
            yield _feed(item, f"item {number} of {name}"), f"item {number} of {name}"
    except (EdgekitError, GeneratorExit):
        raise
    except Exception as error:
        # Whatever somebody's code raises: an OSError of theirs is not one of our output file.
        raise FeedError(
            f"The calibration data of {name} stopped ({type(error).__name__}: {one_line(error)}): "
            "give a function without arguments, or an iterable, that gives a dict of the model's "
            "inputs at a time."
        ) from error


def _feed(item: Any, where: str) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    if isinstance(item, tuple):
        raise FeedError(
            f"The {where} is a tuple of {len(item)}: give a dict of the model's inputs by name, "
            "without the targets."
        )
    return {"": item}


def _function(text: str) -> Any:
    """Import what `module:function` or `file.py:function` names."""
    module, _, attribute = text.rpartition(":")
    try:
        found = _load(Path(module)) if module.endswith(".py") else import_here(module)
        return getattr(found, attribute)
    except Exception as error:
        # An import runs somebody's code, which raises what it likes.
        raise FeedError(
            f"The calibration data {text!r} cannot be imported "
            f"({type(error).__name__}: {one_line(error)}): give a file or folder, "
            "module:function or file.py:function."
        ) from error


def import_here(module: str) -> Any:
    """Import a module, from the working folder too: an installed command does not look there."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(str(Path.cwd()))


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"edgekit_calibration_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
