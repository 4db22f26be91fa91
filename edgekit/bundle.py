"""The bundle: a folder with `manifest.json`, its ONNX variants and the data that proves them.

::

    artifacts/transformer/
        manifest.json      what is here, digest by digest, and what was measured of it
        model.onnx         the fp32 variant; model.int8.onnx, model.fp16.onnx beside it
        reference.npz      seeded inputs and the outputs that Keras gave for them
        calibration.npz    a sample of the training inputs, for quantisation
        evaluation.npz     held-out inputs and targets, for the task's metric

A manifest comes from outside and is checked key by key; a file is used only where its digest
matches. This module never opens a model.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import files
from edgekit.errors import BundleError, OutputError, one_line
from edgekit.runtime.providers import rows_of
from edgekit.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT = "edgekit-bundle/1"
MAX_MANIFEST_BYTES = 64 * 2**20
DATA_FILES = ("reference", "calibration", "evaluation")
#: What a variant takes that has no preprocessing of its own.
TENSORS = "tensors"
#: What a model's external data file is named after it, where the weights do not fit into one.
EXTERNAL = ".data"


@dataclass(frozen=True)
class FileEntry:
    """A file of the bundle: its bare name, sha256 and `size_bytes`."""

    path: str
    sha256: str
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> FileEntry:
        """Describe a file on disk."""
        return cls(path.name, files.digest(path), path.stat().st_size)


@dataclass(frozen=True)
class Variant:
    """One file of a bundle: a precision and a recipe, and what was measured of it.

    `measured` holds `parity`, `metric` and `latency`, each keyed by its conditions. A file that
    was compiled ahead of time runs on one `provider` only, an alias, and has the lengths of `axes`.
    One with its preprocessing inside `takes` something other than the manifest's tensors (see
    `edgekit.ingraph`), and an app may need other `packages` to run it.
    """

    name: str
    file: FileEntry
    precision: str
    recipe: str
    opset: int
    measured: dict[str, Any] = field(default_factory=dict)
    provider: str | None = None
    axes: dict[str, int] = field(default_factory=dict)
    takes: str = TENSORS
    packages: tuple[str, ...] = ("onnxruntime",)


@dataclass(frozen=True)
class Manifest:
    """Everything that a bundle says of itself."""

    name: str
    signature: Signature
    variants: tuple[Variant, ...]
    data: dict[str, FileEntry]
    task: str | None = None
    metric: str | None = None
    labels: tuple[str, ...] = ()
    preprocessing: dict[str, Any] | None = None
    source: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Write the manifest as text: two equal manifests give the same bytes."""
        import json

        return json.dumps({"format": FORMAT} | dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, where: Path) -> Manifest:
        """Read and check a manifest; raises `BundleError` that names the key at fault."""
        import json

        try:
            raw = json.loads(text)
        except ValueError as error:
            raise BundleError(
                f"The manifest {str(where)!r} is not JSON ({one_line(error)}): export it again."
            ) from error
        reader = _Reader(raw, where)
        found = reader.get("format", str)
        if found != FORMAT:
            raise BundleError(
                f"The manifest {str(where)!r} has the format {found!r}, this edgekit reads "
                f"{FORMAT!r}: export it again."
            )
        signature = reader.child("signature")
        data = reader.get("data", dict)
        return cls(
            name=reader.get("name", str),
            signature=Signature(
                tuple(_spec(item) for item in signature.children("inputs")),
                tuple(_spec(item) for item in signature.children("outputs")),
            ),
            variants=tuple(_variant(item) for item in reader.children("variants")),
            data={key: _entry(reader.child("data").child(key)) for key in data},
            task=reader.get("task", str, type(None)),
            metric=reader.get("metric", str, type(None)),
            labels=tuple(reader.strings("labels")),
            preprocessing=reader.get("preprocessing", dict, type(None)),
            source=reader.get("source", dict),
            training=reader.get("training", dict),
            tools=reader.get("tools", dict),
        )


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its checked manifest."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Read a bundle's manifest; raises `BundleError` where the folder is no bundle."""
        folder = Path(path)
        if not folder.is_dir():
            raise BundleError(
                f"The path {str(path)!r} does not exist: check it, or make a bundle with "
                "`edgekit export`."
                if not folder.exists()
                else f"The path {str(path)!r} is a file: give a bundle's folder or an .onnx file."
            )
        manifest = folder / files.MANIFEST
        if not manifest.is_file():
            raise BundleError(
                f"The folder {str(path)!r} has no {files.MANIFEST}: give a folder that "
                "`edgekit export` wrote."
            )
        if manifest.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError(
                f"The manifest {str(manifest)!r} is larger than {MAX_MANIFEST_BYTES} bytes: "
                "export it again."
            )
        try:
            text = manifest.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(
                f"The manifest {str(manifest)!r} cannot be read ({one_line(error)}): "
                "export it again."
            ) from error
        return cls(folder, Manifest.from_json(text, manifest))

    def variant(self, name: str | None = None) -> Variant:
        """Find a variant by name; without one, the float file that was exported first."""
        variants = self.manifest.variants
        if name is None:
            return next((v for v in variants if v.takes == TENSORS), variants[0])
        for variant in variants:
            if variant.name == name:
                return variant
        raise BundleError(
            f"The bundle {str(self.path)!r} has no variant {name!r}: it has "
            f"{', '.join(repr(v.name) for v in variants)}."
        )

    @property
    def floats(self) -> tuple[Variant, ...]:
        """The fp32 variants that take tensors: what another recipe can start from."""
        variants = self.manifest.variants
        return tuple(v for v in variants if v.precision == "fp32" and v.takes == TENSORS)

    def variants_on(self, provider: str | Sequence[str]) -> tuple[Variant, ...]:
        """Give the variants for one or several providers: not those that another one compiled."""
        aliases = [row.alias for row in rows_of(provider)]
        return tuple(v for v in self.manifest.variants if v.provider in (None, *aliases))

    def file(self, entry: FileEntry) -> Path:
        """Give the path of a file of the bundle once its size and digest are checked.

        A model's external data is checked with it.
        """
        weights = self.manifest.data.get(f"{entry.path}{EXTERNAL}")
        if weights is not None:
            self.file(weights)
        path = self.path / entry.path
        if not path.is_file():
            raise BundleError(
                f"The bundle {str(self.path)!r} lacks {entry.path!r}, which its manifest names: "
                "export it again."
            )
        if path.stat().st_size != entry.size_bytes or files.digest(path) != entry.sha256:
            raise BundleError(
                f"The file {str(path)!r} does not match the sha256 in its manifest: it was changed "
                "or damaged; export it again."
            )
        return path

    def reference_of(self, variant: Variant) -> FileEntry | None:
        """Give the file with the reference of what a variant takes, or None without one."""
        raw = "" if variant.takes == TENSORS else f".{variant.takes}"
        return self.manifest.data.get(f"reference{raw}")

    def inputs_of(self, variant: Variant) -> dict[str, Any] | None:
        """Read the inputs of a variant's reference, or None without one."""
        entry = self.reference_of(variant)
        return None if entry is None else files.load_groups(self.file(entry)).get("inputs")

    def data(self, kind: str) -> dict[str, dict[str, Any]] | None:
        """Read `reference`, `calibration` or `evaluation`, or None where the bundle has none."""
        entry = self.manifest.data.get(kind)
        return None if entry is None else files.load_groups(self.file(entry))

    def add(self, variant: Variant, data: Mapping[str, FileEntry] | None = None) -> Bundle:
        """Record a variant whose file is in the folder, in the place of one with its name.

        `data` records files that come with it.
        """
        kept = tuple(v for v in self.manifest.variants if v.name != variant.name)
        return self._rewrite((*kept, variant), data)

    def record(self, variant: str, kind: str, conditions: str, value: Any) -> Bundle:
        """Note a measurement of a variant: `record("int8", "latency", "cpu, 1 thread", {...})`."""
        variants = []
        for known in self.manifest.variants:
            if known.name == variant:
                noted = {**known.measured.get(kind, {}), conditions: value}
                known = dataclasses.replace(known, measured={**known.measured, kind: noted})
            variants.append(known)
        return self._rewrite(tuple(variants))

    def _rewrite(
        self, variants: tuple[Variant, ...], data: Mapping[str, FileEntry] | None = None
    ) -> Bundle:
        merged = {**self.manifest.data, **(data or {})}
        manifest = dataclasses.replace(self.manifest, variants=variants, data=merged)
        files.write_text(self.path / files.MANIFEST, manifest.to_json())
        return Bundle(self.path, manifest)


def find(path: str | Path | None, under: str | Path = "artifacts") -> Path:
    """Give the path of a model; without one, the newest bundle under `artifacts/`."""
    if path is not None:
        return Path(path)
    manifests = list(Path(under).glob(f"**/{files.MANIFEST}"))
    if not manifests:
        raise BundleError(
            f"No model was given and there is no bundle under {str(under)!r}: "
            "make one with `edgekit export transformer`."
        )
    return max(manifests, key=lambda manifest: manifest.stat().st_mtime).parent


def try_record(bundle: Bundle, variant: str, kind: str, conditions: str, value: Any) -> Bundle:
    """Note a measurement where the bundle can be written; a read-only one is left as it is."""
    try:
        return bundle.record(variant, kind, conditions, value)
    except OutputError:
        return bundle


@dataclass(frozen=True)
class _Reader:
    """Typed access to untrusted JSON: every mistake names its key."""

    raw: Any
    where: Path
    key: str = ""

    def get(self, key: str, *types: type) -> Any:
        if not isinstance(self.raw, dict):
            raise self._wrong(self.key or "the manifest", "an object", self.raw)
        value = self.raw.get(key)
        # bool is an int to Python, but a manifest that says `true` for a size is wrong.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            names = " or ".join("null" if t is type(None) else t.__name__ for t in types)
            raise self._wrong(self._path(key), names, value)
        return value

    def child(self, key: str) -> _Reader:
        return _Reader(self.get(key, dict), self.where, self._path(key))

    def children(self, key: str) -> list[_Reader]:
        items = self.get(key, list)
        if not items:
            raise self._wrong(self._path(key), "at least one entry", items)
        return [
            _Reader(item, self.where, f"{self._path(key)}[{i}]") for i, item in enumerate(items)
        ]

    def strings(self, key: str) -> list[str]:
        items = self.get(key, list)
        if not all(isinstance(item, str) for item in items):
            raise self._wrong(self._path(key), "strings", items)
        return list(items)

    def _path(self, key: str) -> str:
        return f"{self.key}.{key}" if self.key else key

    def _wrong(self, key: str, expected: str, value: Any) -> BundleError:
        return BundleError(
            f"The manifest {str(self.where)!r} has {value!r:.60} at {key!r} where {expected} is "
            "expected: export it again."
        )


def _spec(reader: _Reader) -> TensorSpec:
    shape = reader.get("shape", list)
    if not all(isinstance(axis, (int, str)) and not isinstance(axis, bool) for axis in shape):
        raise reader._wrong(f"{reader.key}.shape", "numbers and names", shape)
    return TensorSpec(reader.get("name", str), reader.get("dtype", str), tuple(shape))


def _entry(reader: _Reader) -> FileEntry:
    path = reader.get("path", str)
    # A bare name: a manifest cannot point outside of its own folder.
    if Path(path).name != path or path in {"", ".", ".."} or "\\" in path:
        raise reader._wrong(f"{reader.key}.path", "a bare file name", path)
    return FileEntry(path, reader.get("sha256", str), reader.get("size_bytes", int))


def _variant(reader: _Reader) -> Variant:
    return Variant(
        name=reader.get("name", str),
        file=_entry(reader.child("file")),
        precision=reader.get("precision", str),
        recipe=reader.get("recipe", str),
        opset=reader.get("opset", int),
        measured=reader.get("measured", dict),
        provider=reader.get("provider", str, type(None)),
        axes=_lengths(reader),
        takes=reader.get("takes", str, type(None)) or TENSORS,
        packages=tuple(reader.strings("packages") if "packages" in reader.raw else ["onnxruntime"]),
    )


def _lengths(reader: _Reader) -> dict[str, int]:
    axes = reader.get("axes", dict, type(None)) or {}
    if not all(type(length) is int and length > 0 for length in axes.values()):
        raise reader._wrong(f"{reader.key}.axes", "lengths by axis", axes)
    return axes
