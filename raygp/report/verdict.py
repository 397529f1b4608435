"""How good a version is, in a line."""

from __future__ import annotations

from raygp.store import Card


def verdict_line(card: Card) -> str:
    """Accuracy on validation, the parent's beside it with the noise of the comparison, accuracy on test."""
    parts = [f"validation {card.val_accuracy:.2%}"]
    if card.parent_val_accuracy is not None:
        noise = f" (noise {card.val_noise:.2%})" if card.val_noise else ""
        parts.append(f"parent {card.parent_val_accuracy:.2%}{noise}")
    if card.test_accuracy is not None:
        parts.append(f"test {card.test_accuracy:.2%}")
    return ", ".join(parts)
