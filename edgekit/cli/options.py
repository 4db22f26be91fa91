"""Options that several commands share, and the two ways out: text and JSON."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
force_option = click.option("--force", is_flag=True, help="Replace an existing output.")
out_option = click.option("--out", type=click.Path(path_type=Path), help="What to write.")
model_argument = click.argument("model", required=False, type=click.Path(path_type=Path))
variant_option = click.option("--variant", help="A variant of the bundle, such as int8.")
seed_option = click.option("--seed", type=int, default=0, show_default=True, help="Random seed.")
artifacts_option = click.option(
    "--artifacts",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("artifacts"),
    show_default=True,
    help="Where weights and bundles are kept.",
)
set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A hyperparameter of a named model, such as cell=gru.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of onnxruntime; left out, its own choice.",
)


def _pairs(
    ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """Read `KEY=VALUE` pairs."""
    found = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{pair!r} is not {parameter.metavar}.")
        found[key] = value
    return found


def _lengths(
    ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, int]:
    """Read `NAME=LENGTH` pairs."""
    found = _pairs(ctx, parameter, given)
    for axis, length in found.items():
        if not length.isdigit() or int(length) < 1:
            raise click.BadParameter(f"'{axis}={length}' is not {parameter.metavar}.")
    return {axis: int(length) for axis, length in found.items()}


fix_axis_option = click.option(
    "--fix-axis",
    "axes",
    multiple=True,
    metavar="NAME=LENGTH",
    callback=_lengths,
    help="Fix a free axis, such as batch=1; may be repeated.",
)


provider_options_option = click.option(
    "--provider-option",
    "provider_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_pairs,
    help="An option of the provider, such as device_id=1; PROVIDER.KEY=VALUE for one of several; "
    "may be repeated.",
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add how a model is run: keywords of `ProviderOptions`, to be passed on as they are."""
    for option in (
        fix_axis_option,
        provider_options_option,
        click.option(
            "--allow-fallback",
            is_flag=True,
            help="Let the CPU run what the provider cannot, and say so.",
        ),
        click.option(
            "--provider",
            default="cpu",
            show_default=True,
            help="Execution provider: cpu, cuda, webgpu, ... (see `edgekit providers`); several "
            "with commas, the later ones for what the first cannot run.",
        ),
    ):
        command = option(command)
    return command


def emit(value: Callable[[], Any], text: Callable[[], list[Any]], *, as_json: bool) -> None:
    """Print a result: JSON for machines, tables for people."""
    if as_json:
        from edgekit.report import json

        click.echo(json.dumps(value()))
        return
    from edgekit.report.text import show

    show(*text())


def model_path(model: Path | None) -> Path:
    """Give the model that was named, or the newest bundle, and say which."""
    from edgekit.bundle import find

    found = find(model)
    if model is None:
        click.echo(f"Using the newest bundle, {found}.", err=True)
    return found


def settings_of(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Read `key=value` pairs; numbers and booleans become what they look like."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE.", param_hint="--set")
        settings[key.replace("-", "_")] = _literal(value)
    return settings


def _literal(text: str) -> Any:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[float, str], None]]:
    """Show progress on stderr: a bar on a terminal, one line a step elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def report(done: float, text: str) -> None:
            bar.update(task, completed=done, description=text)

        yield report


class _Lines:
    """Say each step once."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, done: float, text: str) -> None:
        if text != self.text:
            click.echo(f"{text} ...", err=True)
            self.text = text
