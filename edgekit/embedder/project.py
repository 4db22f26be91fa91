"""Write a project: check the model, copy the templates, put the model beside its golden vectors.

Before anything is written, the file is run on this machine's CPU against its golden vectors, and
what it asks for is compared with what the target's runtime opens. `edgekit.json` at the top of a
project says what was written from what; by it `--force` knows one that it may replace.
"""

from __future__ import annotations

import json
import keyword
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edgekit
from edgekit import files, filesize, parity, preprocess
from edgekit.bundle import TENSORS
from edgekit.embedder import golden, raw, templates
from edgekit.embedder.choose import choose
from edgekit.embedder.targets import TARGETS, Target, check_runs
from edgekit.errors import EmbedError, ModelError
from edgekit.expected import SAMPLES, Subject
from edgekit.reference import Reference
from edgekit.runtime.runner import open_runner
from edgekit.runtime.session import model_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.bundle import Bundle, Variant
    from edgekit.filesize import Needs
    from edgekit.parity import OutputParity
    from edgekit.signature import Signature, TensorSpec

#: The file at the top of a project by which it is known.
MARKER = "edgekit.json"
FORMAT = "edgekit-app/1"
#: A project's name, and the identifier made of it, are at most this long.
LONGEST_NAME = 60
TAKEN = frozenset({"numpy", "onnxruntime", "lib", "default", "package", "interface"})


@dataclass(frozen=True)
class Embedded:
    """A project that was written.

    `files` are relative to `path`, with their sizes in bytes; `size_bytes` is all of them.
    `outputs` is the worst parity of each output over the golden vectors, on the CPU of the machine
    that wrote them; `reason` says why `variant` was taken. `runtime` is what the project pins.
    """

    path: Path
    target: str
    name: str
    model: str
    variant: str | None
    precision: str
    reason: str
    runtime: str
    cases: int
    outputs: tuple[OutputParity, ...]
    files: dict[str, int]
    model_size_bytes: int
    size_bytes: int


@dataclass(frozen=True)
class _App:
    """What goes into a project: a file, and what is known about it."""

    source: Path
    model: str
    name: str
    variant: str | None
    precision: str
    reason: str
    bundle: Bundle | None
    takes: str
    signature: Signature
    needs: Needs
    cases: list[Reference]
    outputs: tuple[OutputParity, ...]

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """What the app has to do in code: nothing where it is in the graph."""
        inside = self.takes in raw.KINDS
        return self.bundle.manifest.preprocessing if self.bundle and not inside else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the app has to name: none where the file's answers have them."""
        return self.bundle.manifest.labels if self.bundle and self.takes == TENSORS else ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The folders of templates for its input, each on top of the one before."""
        if self.takes in raw.KINDS:
            return raw.KINDS[self.takes] if len(self.signature.inputs) == 1 else ()
        kind = preprocess.kind_of(self.preprocessing)
        return () if kind is None else (kind,)


def embed(
    model: str | Path | Bundle,
    target: str,
    out: str | Path,
    *,
    variant: str | None = None,
    name: str | None = None,
    with_preprocessing: bool = False,
    force: bool = False,
) -> Embedded:
    """Write a project with a model inside, for `target`, a name of `TARGETS`, into a folder.

    The model is a bundle, whose best variant for the target is taken (`edgekit.embedder.choose`)
    unless `variant` names one, or an `.onnx` file, whose golden vectors are then what it answers
    here to seeded samples. `name` is the project's; left out, the model's own.
    `with_preprocessing` takes the variant with its pre- and post-processing in the graph, which
    takes texts or pixels and names labels (`edgekit.ingraph`); where the bundle has none, it is
    made for the project, and the bundle stays as it is.

    Raises `EmbedError` for a model that the target's runtime cannot run, `ModelError` for one that
    does not open or misses its golden vectors here, `MissingExtraError` and `ExportError` where its
    preprocessing cannot be put inside, `OutputError` for a folder that is there; with `force` an
    earlier project is replaced as a whole. Nothing is written then.
    """
    if target not in TARGETS:
        raise ValueError(f"target is {target!r}, one of {', '.join(TARGETS)}")
    row, folder = TARGETS[target], Path(out)
    files.check_free(folder, force=force, marker=MARKER)
    with tempfile.TemporaryDirectory() as scratch:
        made_in = Path(scratch) if with_preprocessing else None
        app = _prepare(model, row, variant, name, made_in)
        return _write_project(app, row, folder, force=force)


def _write_project(app: _App, row: Target, folder: Path, *, force: bool) -> Embedded:
    values = _values(app, row)
    with files.new_folder(folder, force=force, marker=MARKER) as made:
        for source in (*row.shared, row.name):
            templates.copy(source, app.kinds, made, values)
        _fill(made, app, row, values)
        written = {
            str(path.relative_to(made)): path.stat().st_size
            for path in sorted(made.rglob("*"))
            if path.is_file()
        }
    return Embedded(
        path=folder,
        target=row.name,
        name=app.name,
        model=app.model,
        variant=app.variant,
        precision=app.precision,
        reason=app.reason,
        runtime=f"{row.runtime.package} {row.runtime.version}",
        cases=len(app.cases),
        outputs=app.outputs,
        files=written,
        model_size_bytes=filesize.model_bytes(app.source),
        size_bytes=sum(written.values()),
    )


def _prepare(
    model: str | Path | Bundle,
    target: Target,
    variant: str | None,
    name: str | None,
    made_in: Path | None,
) -> _App:
    subject = Subject.of(model, variant)
    bundle, chosen, reason = subject.bundle, None, "the file that was given"
    if bundle is not None:
        # A file of a bundle is that variant of it.
        as_file = isinstance(model, (str, Path)) and Path(model).is_file()
        asked = variant or (subject.variants[0] if as_file else None)
        bundle, chosen, reason = _variant(bundle, target, asked, made_in)
    elif made_in is not None:
        raise EmbedError(
            f"The model {str(model)!r} is a file of its own, which does not say what its "
            "preprocessing is: give its bundle."
        )
    source = model_file(bundle or subject.model, chosen.name if chosen else variant)
    precision = chosen.precision if chosen else "fp32"
    needs, signature, cases, outputs = _proven(source, bundle, chosen, target, precision)
    _check(source, target, outputs)
    return _App(
        source=source,
        model=str(subject.bundle.path if subject.bundle else source),
        name=slug(name or (bundle.manifest.name if bundle else source.stem)),
        variant=chosen.name if chosen else None,
        precision=precision,
        reason=reason,
        bundle=bundle,
        takes=chosen.takes if chosen else TENSORS,
        signature=signature,
        needs=needs,
        cases=cases,
        outputs=outputs,
    )


def _proven(
    source: Path, bundle: Bundle | None, chosen: Variant | None, target: Target, precision: str
) -> tuple[Needs, Signature, list[Reference], tuple[OutputParity, ...]]:
    """Open the file, and compare what it answers here with its golden vectors."""
    asked, tolerance = filesize.needs(source), parity.TOLERANCES[precision]
    with open_runner(source) as runner:
        signature = runner.signature
        check_runs(target, str(source), asked, signature)
        assert asked is not None
        reference = _reference(bundle, chosen, signature)
        if reference is None:
            feeds = signature.sample(batch=SAMPLES)
            reference = Reference(feeds, runner.run(feeds))
        cases = golden.cases_of(reference, signature)
        if bundle and chosen and chosen.takes != TENSORS:
            if chosen.takes == "text":
                cases = raw.alone(cases, reference, runner, tolerance)
            labels = bundle.manifest.labels
            cases = [raw.named(case, labels, signature, tolerance) for case in cases]
        found: dict[str, list[OutputParity]] = {}
        for case in cases:
            for output in parity.compare(case.outputs, runner.run(case.inputs), tolerance):
                found.setdefault(output.name, []).append(output)
    return asked, signature, cases, tuple(map(parity.worst, found.values()))


def _variant(
    bundle: Bundle, target: Target, asked: str | None, made_in: Path | None
) -> tuple[Bundle, Variant, str]:
    """Give the variant that was asked for, else the best; of both, the one that is raw."""
    if asked is None:
        chosen, reason = choose(bundle, target)
    else:
        chosen, reason = bundle.variant(asked), "as asked"
    if chosen.provider is not None:
        raise EmbedError(
            f"The variant {asked!r} was compiled for {chosen.provider!r}, and the target "
            f"{target.name!r} has {target.runtime.package}: name another --variant."
        )
    raw.check_takes(target, chosen)
    if made_in is not None:
        bundle, chosen = raw.raw_of(bundle, chosen, target, made_in)
        reason = f"{reason}; its preprocessing inside"
    return bundle, chosen, reason


def _reference(
    bundle: Bundle | None, variant: Variant | None, signature: Signature
) -> Reference | None:
    entry = bundle.reference_of(variant) if bundle and variant else None
    if bundle is None or entry is None:
        return None
    reference = Reference.load(bundle.file(entry))
    return Reference(signature.check(reference.inputs), reference.outputs)


def _check(source: Path, target: Target, outputs: tuple[OutputParity, ...]) -> None:
    if not target.external and len(filesize.model_files(source)) > 1:
        raise EmbedError(
            f"The model {str(source)!r} has weights in a file of their own, which a project for "
            f"{target.name!r} cannot open: give a model under 2 GB in one file."
        )
    for output in outputs:
        if not output.passed:
            raise ModelError(
                f"The model {str(source)!r} misses its golden vectors on this machine "
                f"({output.name}: {output.detail}), so no app could pass them: run "
                "`edgekit validate`, or name another --variant."
            )


def slug(name: str) -> str:
    """Make a name that packages, folders and URLs take: `a-z`, digits and single hyphens.

    One that code could not import, or would get another module for, has `model-` before it.
    """
    words = re.findall(r"[a-z0-9]+", name.lower())
    made = "-".join(words)[:LONGEST_NAME].strip("-") or "model"
    taken = made in TAKEN or made in sys.stdlib_module_names or keyword.iskeyword(made)
    return f"model-{made}" if taken or not made[0].isalpha() else made


def _values(app: _App, target: Target) -> dict[str, str]:
    """Give what `{{...}}` stands for in every target; none of them needs escaping anywhere."""
    words = app.name.split("-")
    values = {
        "name": app.name,
        "module": app.name.replace("-", "_"),
        "type": "".join(word.capitalize() for word in words),
        "title": _title(words),
        "task": _task(app).replace("-", " ").capitalize(),
        "variant": slug(app.variant or app.precision),
        "precision": app.precision,
        "model": f"model.{target.model}",
        "runtime": target.runtime.package,
        "version": target.runtime.version,
        "least": target.runtime.least,
        "opset": str(app.needs.opsets.get("ai.onnx", 0)),
        "edgekit": edgekit.__version__,
    }
    return values | target.values(_spec(app, target))


def _title(words: list[str]) -> str:
    """Give a title: a word that nobody can say, such as cnn, is an abbreviation."""
    spoken = [word if re.search("[aeiouy0-9]", word) else word.upper() for word in words]
    return " ".join([spoken[0][0].upper() + spoken[0][1:], *spoken[1:]])


def _task(app: _App) -> str:
    return slug(app.bundle.manifest.task or "") if app.bundle else "model"


def _spec(app: _App, target: Target) -> dict[str, Any]:
    """Give the content of `model.json`."""
    manifest = app.bundle.manifest if app.bundle else None
    axes = _fixed_axes(app, target)
    return {
        "format": FORMAT,
        "name": app.name,
        "task": manifest.task if manifest else None,
        "variant": app.variant,
        "precision": app.precision,
        "file": f"model.{target.model}",
        "inputs": [_tensor(spec, axes) for spec in app.signature.inputs],
        "outputs": [_tensor(spec, axes) for spec in app.signature.outputs],
        "takes": app.takes,
        "labels": list(app.labels),
        "preprocessing": app.preprocessing,
        "needs": {"ir_version": app.needs.ir_version, "opsets": app.needs.opsets},
        "runtime": {"package": target.runtime.package, "version": target.runtime.version},
    }


def _tensor(spec: TensorSpec, axes: Mapping[str, int]) -> dict[str, Any]:
    shape = [axes.get(size, size) if isinstance(size, str) else size for size in spec.shape]
    return {"name": spec.name, "dtype": spec.dtype, "shape": shape}


def _fixed_axes(app: _App, target: Target) -> dict[str, int]:
    """Give the free axes that a `.ort` file is written without: the batch.

    An app on a phone runs one sample; accelerators take no free axes, and XNNPACK answers wrong
    with a free batch (microsoft/onnxruntime #31153).
    """
    if target.model != "ort" or not app.signature.batched:
        return {}
    firsts = (spec.shape[0] for spec in app.signature.inputs)
    return {axis: 1 for axis in firsts if isinstance(axis, str)}


def _fill(made: Path, app: _App, target: Target, values: Mapping[str, str]) -> None:
    """Put the model, its description and its golden vectors into a copy of the templates."""
    data = made / templates.in_path(target.data, values)
    data.mkdir(parents=True, exist_ok=True)
    _put_model(app, data / f"model.{target.model}", _fixed_axes(app, target))
    vectors = made / templates.in_path(target.vectors or target.data, values)
    vectors.mkdir(parents=True, exist_ok=True)
    golden.write(
        vectors / f"golden.{target.golden}",
        app.cases,
        app.signature,
        model=app.name,
        precision=app.precision,
        tolerance=parity.TOLERANCES[app.precision],
        preprocessing=app.preprocessing,
    )
    _write(data / "model.json", _spec(app, target))
    _write(
        made / MARKER,
        {
            "format": FORMAT,
            "edgekit": edgekit.__version__,
            "target": target.name,
            "name": app.name,
            "variant": app.variant,
            "sha256": files.digest(app.source),
        },
    )


def _put_model(app: _App, target: Path, axes: dict[str, int]) -> None:
    """Copy the model's file, with its external data; or compile it into onnxruntime's own format.

    What is left to an accelerator of a phone is then not optimised for the CPU.
    """
    if target.suffix == ".ort":
        from edgekit.compiler import compile_model

        compile_model(app.source, style="runtime", out=target, precision=app.precision, axes=axes)
        return
    import shutil

    first, *beside = filesize.model_files(app.source)
    shutil.copyfile(first, target)
    for path in beside:
        shutil.copyfile(path, target.with_name(path.name))


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
