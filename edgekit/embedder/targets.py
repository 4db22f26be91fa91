"""The table of targets: what each app's runtime can run, and which variant suits it.

Imports the standard library only: the command line lists the targets before anything is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.embedder import csource, kotlinsource, swiftsource
from edgekit.errors import EmbedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgekit.filesize import Needs
    from edgekit.signature import Signature

#: dtypes that every language here has an array of; `float16` and `bfloat16` are none of them.
PLAIN = frozenset(
    {"float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool"}
)


@dataclass(frozen=True)
class Runtime:
    """The engine that a project pins: what it opens was tried on that version, not read.

    `version` is what the project is proven with, `least` the oldest that its bounds let in;
    `opsets` and `ir_version` are the most that `least` opens.
    """

    package: str
    version: str
    least: str
    ir_version: int
    opsets: Mapping[str, int]


ONNX_26 = {"ai.onnx": 26, "ai.onnx.ml": 5, "com.microsoft": 1}
ONNX_25 = {"ai.onnx": 25, "ai.onnx.ml": 5, "com.microsoft": 1}
#: The domains of operators that every build of onnxruntime has.
INTERNAL = frozenset({"com.microsoft.nchwc", "ai.onnx.training", "ai.onnx.preview.training"})
EXTENSIONS = "ai.onnx.contrib"
NOT_TRIED = "strings in a .ort file were not tried on a phone"


@dataclass(frozen=True)
class Target:
    """A platform that `embed` writes a project for; its templates are in the folder of its name.

    `data` is the folder inside the project for the model and what belongs to it; `golden` the
    form of the golden vectors, `json` or `bin`; `model` the model's format, `onnx` or `ort`.
    `precisions` are those of the variants that may be chosen, the first the one that is taken
    where nothing measured says better, and `why` the reason for it. With `by_latency` a faster
    variant is taken, where both were measured under the same conditions. `external` says that
    weights may be in a file of their own. `vectors` is the folder of the golden vectors, where an
    app should not carry them. `no_raw` is why a file that has its preprocessing inside, and strings
    in or out, is not taken; empty where it is. `shared` are folders of templates that come first,
    and `values` gives substitutions of its own.
    """

    name: str
    summary: str
    runtime: Runtime
    data: str
    why: str
    precisions: tuple[str, ...] = ("fp32", "fp16", "bf16", "int8")
    by_latency: bool = False
    golden: str = "json"
    model: str = "onnx"
    dtypes: frozenset[str] = PLAIN | {"str"}
    external: bool = True
    vectors: str = ""
    no_raw: str = ""
    shared: tuple[str, ...] = ()
    values: Callable[[dict[str, Any]], dict[str, str]] = lambda _spec: {}


TARGETS = {
    target.name: target
    for target in (
        Target(
            name="python",
            summary="a package with a typed predict(), on numpy and onnxruntime",
            runtime=Runtime("onnxruntime", "1.32.0", "1.24.1", 13, ONNX_25),
            data="src/_module_",
            why="the float file, which is nowhere slow",
            by_latency=True,
        ),
        Target(
            name="node",
            summary="an npm package with types and a command, on onnxruntime-node",
            runtime=Runtime("onnxruntime-node", "1.30.0", "1.30.0", 13, ONNX_26),
            data=".",
            why="the float file, which is nowhere slow",
            by_latency=True,
            shared=("javascript",),
            values=lambda _spec: {"lib": "lib"},
        ),
        Target(
            name="web",
            summary="a static page on onnxruntime-web: WebGPU where there is one, else WebAssembly",
            runtime=Runtime("onnxruntime-web", "1.30.0", "1.30.0", 13, ONNX_26),
            data="site",
            why="the float file, which WebGPU has kernels for",
            external=False,
            shared=("javascript",),
            values=lambda _spec: {"lib": "site"},
        ),
        Target(
            name="c",
            summary="a library and a command in C11, which load any onnxruntime",
            runtime=Runtime("onnxruntime", "1.32.0", "1.24.1", 13, ONNX_25),
            data="data",
            why="the float file, which is nowhere slow",
            by_latency=True,
            golden="bin",
            external=False,
            values=csource.values,
        ),
        Target(
            name="android",
            summary="a Gradle module in Kotlin on onnxruntime-android, with a .ort file",
            runtime=Runtime(
                "com.microsoft.onnxruntime:onnxruntime-android", "1.29.0", "1.29.0", 13, ONNX_26
            ),
            data="model/src/main/assets",
            why="the float file, which XNNPACK and a phone's accelerators take",
            golden="bin",
            model="ort",
            dtypes=frozenset(kotlinsource.TYPES),
            external=False,
            vectors="model/src/sharedTest/resources",
            no_raw=NOT_TRIED,
            values=kotlinsource.values,
        ),
        Target(
            name="ios",
            summary="a Swift package on onnxruntime-objc, with a .ort file",
            runtime=Runtime("onnxruntime-objc", "1.24.2", "1.24.2", 13, ONNX_25),
            data="Sources/_type_/Resources",
            why="the float file, which CoreML takes",
            golden="bin",
            model="ort",
            dtypes=swiftsource.TYPES,
            external=False,
            vectors="Tests/GoldenTests/Resources",
            no_raw=NOT_TRIED,
            values=swiftsource.values,
        ),
    )
}


def check_runs(target: Target, model: str, asked: Needs | None, signature: Signature) -> None:
    """Raise `EmbedError` where the target's runtime cannot run a model, naming both.

    `asked` is what the file asks for; None, for a file that does not say, is refused.
    """
    runtime = target.runtime
    engine = f"{runtime.package} {runtime.least}, which the target {target.name!r} may meet"
    if asked is None:
        raise EmbedError(
            f"The model {model!r} is no ONNX file, so nothing says what it needs of "
            f"{runtime.package}: give the .onnx file or a bundle."
        )
    if asked.ir_version > runtime.ir_version:
        raise EmbedError(
            f"The model {model!r} has IR version {asked.ir_version} and {engine}, opens up to "
            f"{runtime.ir_version}: export it with an older onnx package."
        )
    for domain, version in asked.opsets.items():
        _check_domain(runtime, engine, model, domain, version)
    for spec in (*signature.inputs, *signature.outputs):
        if spec.dtype not in target.dtypes:
            raise EmbedError(
                f"The model {model!r} has the tensor {spec}, and a project for {target.name!r} has "
                f"arrays of {', '.join(sorted(target.dtypes))}: give a variant with float32 inputs "
                "and outputs."
            )


def _check_domain(runtime: Runtime, engine: str, model: str, domain: str, version: int) -> None:
    if domain in INTERNAL:
        return
    most = runtime.opsets.get(domain)
    if domain == EXTENSIONS:
        raise EmbedError(
            f"The model {model!r} has operators of onnxruntime-extensions, the domain {domain!r}, "
            f"which {engine}, lacks: where they decode a picture, use `edgekit export "
            "--with-preprocessing` without --encoded, for a file that takes pixels."
        )
    if most is None:
        raise EmbedError(
            f"The model {model!r} has operators of the domain {domain!r}, which {engine}, lacks: "
            "export it without them, or choose a target that has them."
        )
    if version > most:
        raise EmbedError(
            f"The model {model!r} has opset {version} of {domain} and {engine}, opens up to "
            f"{most}: use `edgekit export --opset {min(most, 18)}`."
        )
