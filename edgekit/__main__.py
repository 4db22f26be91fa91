"""`python -m edgekit` and the command `edgekit`."""

from edgekit.cli import cli


def main() -> None:
    """Run the command line."""
    cli(prog_name="edgekit")


if __name__ == "__main__":
    main()
