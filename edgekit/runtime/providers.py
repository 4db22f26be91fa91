"""One table of execution providers: what each is, how it is registered, what it wants.

The table opens nothing and imports nothing but edgekit's errors. `probe.py` says which rows can run
here and why the others cannot, `session.py` opens models on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.errors import ProviderError

CPU = "CPUExecutionProvider"


@dataclass(frozen=True)
class Provider:
    """A row of the table.

    `alias` is what users type and `name` what onnxruntime calls it. `wheel` is the distribution
    of the module `onnxruntime` that it runs in (empty: none on the package index), and only one
    such can be installed; `install` brings it. A built-in provider may live in a shared `library`
    of its own, which may need a `driver` and the packages of `preload`, whose import loads
    libraries. A plugin is registered from the package `plugin`, whose functions give the paths
    that it wants as options.

    `options` are the provider options that edgekit sets unless told otherwise, `threads_option`
    the one that counts threads where the provider has its own and takes no notice of
    onnxruntime's. `precisions` are the precisions of variants that suit the hardware, best first,
    and `recipes` the ways to make them (`edgekit.quantizer`), as `RECIPE` or `RECIPE:FORM`.
    With `fixed_shapes` it runs models only whose axes all have a length, with `compiles` it can
    write what it made of a model as a file (onnxruntime's EPContext). `one_device` says that it
    takes one of its devices a session, `one_run` that one thread at a time may run its sessions,
    `float_precision` what it computes float32 in.
    `device_fix` and `session_fix` say what helps where no device is found or no session is made,
    `rest` names the provider that usually runs what it cannot. `licence` is named where it is not
    an open one.
    """

    alias: str
    name: str
    hardware: str
    install: str
    precisions: tuple[str, ...]
    recipes: tuple[str, ...] = ()
    wheel: str = "onnxruntime"
    platforms: tuple[str, ...] = ("linux", "win32", "darwin")
    library: str | None = None
    driver: str | None = None
    preload: tuple[str, ...] = ()
    plugin: str | None = None
    plugin_paths: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    threads_option: str | None = None
    fixed_shapes: bool = False
    compiles: bool = False
    one_device: bool = False
    one_run: bool = False
    float_precision: str = "fp32"
    device_fix: str | None = None
    session_fix: str | None = None
    rest: str | None = None
    licence: str | None = None

    @property
    def without_device(self) -> str:
        """What to do where no device is found."""
        return self.device_fix or f"run it where there is one ({self.hardware})"


def _pip(extra: str) -> str:
    return f"pip install 'edgekit-onnx[{extra}]'"


_NVIDIA = "run it on a machine with an NVIDIA GPU, and check `nvidia-smi`"
_AMD = "run it on a machine with an AMD GPU, and check `rocminfo`"

PROVIDERS = {
    row.alias: row
    for row in (
        Provider(
            "cpu",
            CPU,
            "any CPU",
            _pip("cpu"),
            ("fp32", "int8"),
            recipes=("static-int8", "dynamic-int8", "mixed", "weight-int8", "weight-int4"),
        ),
        Provider(
            "cuda",
            "CUDAExecutionProvider",
            "NVIDIA GPU",
            _pip("cuda"),
            ("fp16", "fp32"),
            recipes=("fp16", "weight-int4", "weight-int8"),
            wheel="onnxruntime-gpu",
            platforms=("linux", "win32"),
            library="libonnxruntime_providers_cuda.so",
            driver="libcuda.so.1",
            device_fix=_NVIDIA,
        ),
        Provider(
            "tensorrt",
            "TensorrtExecutionProvider",
            "NVIDIA GPU",
            _pip("cuda") + " tensorrt",
            ("fp16", "int8", "fp32"),
            recipes=("fp16", "static-int8:s8s8", "weight-int8"),
            wheel="onnxruntime-gpu",
            platforms=("linux", "win32"),
            library="libonnxruntime_providers_tensorrt.so",
            driver="libcuda.so.1",
            preload=("tensorrt_libs",),
            device_fix=_NVIDIA,
            rest="cuda",
        ),
        Provider(
            "webgpu",
            "WebGpuExecutionProvider",
            "any GPU (Vulkan, Metal, Direct3D 12)",
            _pip("webgpu"),
            ("fp16", "fp32"),
            recipes=("fp16", "weight-int4", "weight-int8"),
            plugin="onnxruntime_ep_webgpu",
            fixed_shapes=True,
            one_device=True,
            one_run=True,
            device_fix="install the GPU's Vulkan driver, or set "
            "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER=1 for a software one",
        ),
        Provider(
            "openvino",
            "OpenVINOExecutionProvider",
            "Intel CPU, GPU and NPU",
            _pip("openvino"),
            ("int8", "fp16", "fp32"),
            recipes=("static-int8", "mixed", "weight-int8", "fp16"),
            wheel="onnxruntime-openvino",
            platforms=("linux", "win32"),
            library="libonnxruntime_providers_openvino.so",
            compiles=True,
            options=(("device_type", "CPU"),),
            threads_option="num_of_threads",
        ),
        Provider(
            "qnn",
            "QNNExecutionProvider",
            "Qualcomm NPU",
            _pip("qnn"),
            ("int8", "fp16", "fp32"),
            recipes=("a16w8", "npu-int8", "fp16", "weight-int8"),
            platforms=("linux", "win32"),
            plugin="onnxruntime_qnn",
            plugin_paths=(("backend_path", "get_qnn_htp_path"),),
            compiles=True,
            fixed_shapes=True,
            float_precision="fp16",
            device_fix="run it on a Snapdragon, or on x86-64 in Qualcomm's simulator",
            session_fix="name a recent NPU with --provider-option soc_model=69, which attention "
            "needs, or try another variant",
            licence="Qualcomm's own; not open source",
        ),
        Provider(
            "migraphx",
            "MIGraphXExecutionProvider",
            "AMD GPU",
            "pip install onnxruntime-migraphx",
            ("fp16", "fp32"),
            recipes=("fp16", "weight-int8"),
            wheel="onnxruntime-migraphx",
            platforms=("linux",),
            library="libonnxruntime_providers_migraphx.so",
            device_fix=_AMD,
        ),
        Provider(
            "rocm",
            "ROCMExecutionProvider",
            "AMD GPU",
            "pip install onnxruntime-rocm",
            ("fp16", "fp32"),
            recipes=("fp16", "weight-int8"),
            wheel="onnxruntime-rocm",
            platforms=("linux",),
            library="libonnxruntime_providers_rocm.so",
            device_fix=_AMD,
        ),
        Provider(
            "directml",
            "DmlExecutionProvider",
            "any GPU, on Windows",
            "pip install onnxruntime-directml",
            ("fp16", "fp32"),
            recipes=("fp16", "weight-int8"),
            wheel="onnxruntime-directml",
            platforms=("win32",),
            one_run=True,
        ),
        Provider(
            "coreml",
            "CoreMLExecutionProvider",
            "Apple GPU and Neural Engine",
            _pip("cpu"),
            ("fp16", "fp32"),
            recipes=("fp16", "weight-int8"),
            platforms=("darwin",),
            # The older format, NeuralNetwork, is onnxruntime's default and has fewer operators.
            options=(("ModelFormat", "MLProgram"), ("MLComputeUnits", "ALL")),
            fixed_shapes=True,
        ),
        Provider(
            "xnnpack",
            "XnnpackExecutionProvider",
            "mobile CPU",
            "build onnxruntime with --use_xnnpack",
            ("fp32", "int8"),
            recipes=("static-int8", "weight-int8"),
            wheel="",
            threads_option="intra_op_num_threads",
            fixed_shapes=True,
        ),
        Provider(
            "nnapi",
            "NnapiExecutionProvider",
            "Android NPU",
            "use onnxruntime-android in the app",
            ("int8", "fp16", "fp32"),
            recipes=("static-int8", "weight-int8"),
            wheel="",
            platforms=("android",),
            fixed_shapes=True,
        ),
    )
}


def resolve(provider: str) -> Provider:
    """Find a row by alias or by onnxruntime's name, exactly; raises `ProviderError`."""
    for row in PROVIDERS.values():
        if provider in (row.alias, row.name):
            return row
    import difflib  # an app that opens a model does without

    near = difflib.get_close_matches(provider.lower(), PROVIDERS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(PROVIDERS)}"
    raise ProviderError(f"There is no provider {provider!r}", hint, step="name")


def rows_of(provider: str | Sequence[str], *, allow_fallback: bool = False) -> tuple[Provider, ...]:
    """Give the rows of one provider, or of several in order: `"tensorrt,cuda"` or a sequence.

    A node that the first cannot run goes to the next; `allow_fallback` puts the CPU last. What
    follows the CPU would never run, and is refused as a name given twice is. Raises
    `ProviderError`.
    """
    given = provider.split(",") if isinstance(provider, str) else list(provider)
    rows = [resolve(name.strip()) for name in given]
    aliases = [row.alias for row in rows]
    if not rows or len(set(aliases)) < len(aliases) or "cpu" in aliases[:-1]:
        raise ProviderError(
            f"The providers {', '.join(aliases)!r} are no order of fallbacks",
            "give each once, and the cpu last",
            step="name",
        )
    if allow_fallback and aliases[-1] != "cpu":
        rows.append(PROVIDERS["cpu"])
    return tuple(rows)


def options_by_provider(
    rows: Sequence[Provider], given: Mapping[str, Any] | None, threads: int | None = None
) -> dict[str, dict[str, str]]:
    """Sort provider options by alias: the table's own with `threads`, then what was given.

    `given` has `{"KEY": value}` for the only provider beside the CPU, `{"PROVIDER.KEY": value}` or
    `{"PROVIDER": {"KEY": value}}` for one of several. True and False become 1 and 0, as
    onnxruntime writes them. Raises `ProviderError` for an option that has no provider.
    """
    found = {row.alias: dict(row.options) for row in rows}
    for row in rows:
        if row.threads_option is not None and threads is not None:
            found[row.alias][row.threads_option] = str(threads)
    takers = [row.alias for row in rows if row.alias != "cpu"] or ["cpu"]
    for key, value in (given or {}).items():
        alias, dot, rest = key.partition(".")
        if isinstance(value, Mapping):
            alias, pairs = key, dict(value)
        elif dot:
            pairs = {rest: value}
        elif len(takers) == 1:
            alias, pairs = takers[0], {key: value}
        else:
            raise ProviderError(
                f"The provider option {key!r} is for one of {', '.join(takers)}",
                f"say which, as in {takers[0]}.{key}",
                step="name",
            )
        if alias not in found:
            raise ProviderError(
                f"The provider option {key!r} is for {alias!r}, which was not asked for",
                f"give options of {', '.join(found)}",
                step="name",
            )
        found[alias] |= {name: _written(each) for name, each in pairs.items()}
    return found


def _written(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def alias_of(name: str) -> str:
    """Give the alias of one of onnxruntime's provider names; an unknown one stays as it is."""
    known = {row.name: row.alias for row in PROVIDERS.values()}
    return known.get(name, name)
