"""The two formats that a model is compiled into, and who writes them.

Both run inside onnxruntime: the provider's own compiler behind a session, and onnxruntime's
converter to the ORT format with its list of required operators.
"""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.errors import CompileError, needs_extra, one_line
from edgekit.filesize import model_files
from edgekit.graph import fix_shapes
from edgekit.runtime import providers
from edgekit.runtime.session import compile_session, plan_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgekit.compiler.cases import Case
    from edgekit.runtime.runner import RunOptions

#: What onnxruntime's converter calls the styles, and the processors it optimises for.
STYLES = {"fixed": "Fixed", "runtime": "Runtime"}
PLATFORMS = ("arm", "amd64")
#: What the list of required operators is called after the file that it belongs to.
CONFIG = ".required_operators.config"


@dataclass(frozen=True)
class Writer:
    """A format: what variants (`int8-NAME`) and files end in, what runs them, and who writes them.

    `fixed_axes` says that a file cannot have free axes.
    """

    name: str
    ending: str
    provider: str
    recipe: str
    fixed_axes: bool
    write: Callable[[Path, Path, Case], None]


def writer_of(style: str | None, platform: str, options: RunOptions) -> Writer:
    """Give the writer of a `.ort` style, or of the provider in `options`.

    Raises `CompileError` for a provider that compiles nothing.
    """
    rows = providers.rows_of(options.get("provider", "cpu"))
    if style is not None:
        if style not in STYLES or platform not in PLATFORMS:
            raise ValueError(f"style is one of {', '.join(STYLES)}, platform of {PLATFORMS}")
        if rows[0].alias != "cpu":
            raise CompileError(
                f"A .ort file is not compiled for {rows[0].alias!r}, it runs on whatever opens it: "
                "give --format ort or --provider, not both."
            )

        def write_ort(source: Path, target: Path, case: Case) -> None:
            _write_ort(source, target, case, STYLES[style], platform)

        short = "" if style == "fixed" else f".{style}"
        name, ending = f"ort{short}".replace(".", "-"), f"{short}.ort"
        recipe = f"ort:{style}:{platform}"
        return Writer(name, ending, "cpu", recipe, False, write_ort)
    row = rows[0]
    if len(rows) > 1 or options.get("allow_fallback") or not row.compiles:
        able = ", ".join(each.alias for each in providers.PROVIDERS.values() if each.compiles)
        raise CompileError(
            f"The provider {','.join(each.alias for each in rows)!r} compiles no model ahead of "
            f"time: give one of {able}, or --format ort."
        )
    alias, recipe = row.alias, f"compiled:{row.alias}"
    return Writer(alias, f".{alias}.onnx", alias, recipe, True, _write_context)


def _write_context(source: Path, target: Path, case: Case) -> None:
    options = case.options
    plan = plan_session(
        source,
        options["provider"],
        threads=options.get("threads"),
        allow_fallback=False,
        provider_options=options.get("provider_options"),
    )
    compile_session(plan, case.axes, target)
    if not target.is_file():
        raise CompileError(
            f"The provider {options['provider']!r} ran {str(source)!r} and wrote no compiled file: "
            "try another version of the provider's package."
        )


def _write_ort(source: Path, target: Path, case: Case, style: str, platform: str) -> None:
    with needs_extra("write a .ort file", "quantize"):
        from onnxruntime.tools import convert_onnx_models_to_ort as converter
    logging.getLogger("ort_format_model.utils").setLevel(logging.WARNING)
    work = target.parent / "edgekit-work"
    work.mkdir()
    # A copy, because the converter makes folders of its own beside its source.
    for file in model_files(source):
        shutil.copyfile(file, work / file.name)
    if case.axes:  # a session cannot fix those of a .ort file any more
        fix_shapes(work / source.name, work / source.name, case.signature)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # it leaves a file open
            converter.convert_onnx_models_to_ort(
                work / source.name,
                output_dir=work,
                optimization_styles=[converter.OptimizationStyle[style]],
                target_platform=platform,
            )
    except Exception as error:  # onnxruntime's errors have no base but Exception
        raise CompileError(
            f"onnxruntime cannot write {str(source)!r} in its own format ({one_line(error)}): "
            "give an .onnx file that `edgekit inspect` opens."
        ) from error
    (made,) = work.glob("*.ort")
    made.replace(target)
    (config,) = work.glob("*.config")
    lines = config.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("#")]
    text = "\n".join((f"# Operators of {target.name}, for --include_ops_by_config.", *kept, ""))
    target.with_name(target.name + CONFIG).write_text(text, encoding="utf-8")
