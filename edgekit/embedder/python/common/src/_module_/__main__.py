"""The command line: answers for the inputs that are given, a line each."""

from __future__ import annotations

import argparse
import sys

from .model import Answer, Model, ModelError
from .preprocess import HELP, read


def main() -> None:
    """Answer each input of the command line."""
    parser = argparse.ArgumentParser(prog="{{name}}", description="{{title}}.")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help=HELP)
    parser.add_argument("--top", type=int, default=3, help="labels to show (default: 3)")
    given = parser.parse_args()
    try:
        model = Model()
        for word in given.inputs:
            sys.stdout.write(f"{word}: {_line(model.predict(read(word), given.top))}\n")
    except (ModelError, OSError, ValueError) as error:
        sys.exit(f"Error: {error}")


def _line(answer: Answer) -> str:
    if answer.top:
        return ", ".join(f"{label.name} {label.score:.1%}" for label in answer.top)
    return "; ".join(f"{name} = {array.tolist()}" for name, array in answer.outputs.items())


if __name__ == "__main__":
    main()
