"""What a project for a phone knows of its model: what its languages write alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True)
class Language:
    """How a language writes a tensor's description, a string, a text with its ids, and a rule."""

    tensor: Callable[[dict[str, Any]], str]
    quoted: Callable[[str], str]
    text: Callable[[str, list[int]], str]
    preprocessing: Callable[[dict[str, Any]], str]

    def values(self, spec: dict[str, Any]) -> dict[str, str]:
        """Give the values of the target's substitutions for the content of `model.json`."""
        from edgekit.embedder import golden
        from edgekit.parity import TOLERANCES

        rule = spec["preprocessing"] or {}
        texts = golden.texts(rule) if rule.get("kind") == "characters" else []
        # A device may compute a float32 model in 16 bits.
        limits = [TOLERANCES[name].min_sqnr_db or 0.0 for name in ("fp16", spec["precision"])]
        return {
            "inputs": _lines(map(self.tensor, spec["inputs"]), 8),
            "outputs": _lines(map(self.tensor, spec["outputs"]), 8),
            "labels": _lines(map(self.quoted, spec["labels"]), 8),
            "preprocessing": self.preprocessing(rule),
            "ir_version": str(spec["needs"]["ir_version"]),
            "texts": _lines((self.text(each["text"], each["ids"]) for each in texts), 4),
            "least_device_db": str(min(limits)),
        }


def characters(rule: dict[str, Any], quoted: Callable[[str], str]) -> dict[str, Any]:
    """Give the fields of a rule for texts, as Kotlin and Swift name them."""
    return {
        "alphabet": quoted(rule["alphabet"]),
        "lowercase": str(rule["lowercase"]).lower(),
        "maxLength": rule["max_length"],
        "padding": rule["padding"],
        "unknown": rule["unknown"],
        "offset": rule["offset"],
    }


def _lines(items: Iterable[str], indent: int) -> str:
    return "\n".join(f"{' ' * indent}{item}," for item in items)
