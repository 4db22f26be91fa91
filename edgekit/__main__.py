"""`python -m edgekit` and the command `edgekit`."""

import os
import sys

from edgekit.cli import cli


def main() -> None:
    """Run the command line."""
    _keep_stdout_for_results()
    cli(prog_name="edgekit")


def _keep_stdout_for_results() -> None:
    """Send what native libraries print to stderr: Qualcomm's simulator would spoil `--json`."""
    out = sys.__stdout__
    if out is None or sys.stdout is not out:
        return  # closed, or somebody catches Python's output
    out.flush()
    sys.stdout = open(  # noqa: SIM115 - it lives as long as the process
        os.dup(1), "w", encoding=out.encoding, errors=out.errors, closefd=False
    )
    os.dup2(2, 1)


if __name__ == "__main__":
    main()
