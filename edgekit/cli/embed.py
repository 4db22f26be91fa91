"""The command that writes an app: embed."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli import options
from edgekit.embedder.targets import TARGETS


def _listing() -> str:
    return "; ".join(f"{target.name}: {target.summary}" for target in TARGETS.values())


@click.command(
    epilog="Examples: edgekit embed artifacts/cnn --target web --out digits | "
    "edgekit embed artifacts/transformer --target python --out names --with-preprocessing | "
    "edgekit embed model.onnx --target node --out app --name my-model"
)
@options.model_argument
@click.option(
    "--target",
    type=click.Choice(list(TARGETS)),
    required=True,
    help=f"The platform. {_listing()}.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The project's folder.",
)
@click.option(
    "--variant", help="A variant of the bundle; left out, the best for the target, with a reason."
)
@click.option(
    "--with-preprocessing",
    is_flag=True,
    help="Take the variant with pre- and post-processing in the graph, or make it: its input is "
    "text or the pixels of a picture, its answer a label. For python, node, web and c.",
)
@click.option("--name", help="The project's name; left out, the model's.")
@options.force_option
@options.json_option
def embed(
    model: Path | None,
    target: str,
    out: Path,
    variant: str | None,
    with_preprocessing: bool,
    name: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a small project for a platform with MODEL inside, which proves its own answers.

    It holds the model's file, preprocessing, labels, and golden vectors: `make test` in it builds
    the app and compares its answers with the reference. Versions are pinned; a model that the
    pinned runtime cannot run is refused.
    """
    from edgekit.embedder.project import embed as write
    from edgekit.report import json
    from edgekit.report.text.embed import embedded

    made = write(
        options.model_path(model),
        target,
        out,
        variant=variant,
        name=name,
        with_preprocessing=with_preprocessing,
        force=force,
    )
    options.emit(lambda: json.plain(made), lambda: embedded(made), as_json=as_json)
