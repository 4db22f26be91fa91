"""The command line: parse, call one library function, render, exit code.

Exit codes: 0 fine; 1 it ran and the verdict is no; 2 usage; 3 an expected error, in one sentence;
130 interrupted. A bug is a traceback. Results go to stdout, progress and messages to stderr.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

import edgekit
from edgekit.errors import EdgekitError

#: Command name -> module. A module is imported when its command is asked for.
COMMANDS = {
    "train": "edgekit.cli.build",
    "export": "edgekit.cli.build",
    "quantize": "edgekit.cli.quantize",
    "tune": "edgekit.cli.tune",
    "compile": "edgekit.cli.compile",
    "embed": "edgekit.cli.embed",
    "run": "edgekit.cli.whole",
    "infer": "edgekit.cli.device",
    "validate": "edgekit.cli.validate",
    "bench": "edgekit.cli.bench",
    "inspect": "edgekit.cli.device",
    "providers": "edgekit.cli.device",
}


class Commands(click.Group):
    """The group of commands; the one place that turns an error into an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the commands in the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command when it is asked for."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run and exit: see the module's docstring for the codes."""
        sys.exit(self._exit_code(*args, **kwargs))

    def _exit_code(self, *args: Any, **kwargs: Any) -> int:
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
            sys.stdout.flush()
        except EdgekitError as error:
            click.echo(f"Error: {error}", err=True)
            return 3
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("Interrupted; nothing was left half written.", err=True)
            return 130
        except BrokenPipeError:
            # Whoever read the output has enough; Python would complain once more on exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return code if isinstance(code, int) else 0


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: edgekit run transformer",
)
@click.version_option(edgekit.__version__, prog_name="edgekit")
def cli() -> None:
    """Ship a Keras model to a device: verified, fast, small ONNX, honestly timed.

    A trained Keras model goes in; an ONNX bundle that any app can embed comes out, and every claim
    about it is measured. Left out, MODEL is the newest bundle under artifacts/.
    """
