"""How good a version is, in a line."""

from __future__ import annotations

from raygp.record import Compared, UpdateRecord, called, measured


def waiting_line(root: str, version: str) -> str:
    """What waits for approval, and how a person answers."""
    return (
        f"{version} waits for approval: raygp approve {version} --root {root}, or raygp reject {version} --root {root} "
        "--because TEXT"
    )


def verdict_line(card: UpdateRecord) -> str:
    """Accuracy on validation, the parent's beside it with the noise of the comparison, accuracy on test.

    Where there are rows of classes that the parent does not know, both are compared on the others, and the version
    answers as the parent does, without its new classes.
    """
    metric = card.metric
    parts = [f"validation {called(card.val_accuracy, metric)}{_rows(card.val_rows)}"]
    parent = card.parent_val_accuracy
    if card.known is not None:
        among = card.known.among_known
        alone = "" if among is None else f" ({among:.2%} among these alone)"
        parts.append(f"of known classes {_with_rows(card.known)}{alone}")
        parent = card.known.parent_accuracy
    if parent is not None:
        noise = f" (noise {measured(card.val_noise, metric)})" if card.val_noise else ""
        parts.append(f"parent {called(parent, metric)}{noise}")
    if card.new is not None:
        parts.append(f"of new classes {_with_rows(card.new)}")
    if card.test_accuracy is not None:
        parts.append(f"test {called(card.test_accuracy, metric)}")
    return ", ".join(parts)


def _with_rows(compared: Compared) -> str:
    return f"{compared.accuracy:.2%}{_rows(compared.rows)}"


def _rows(count: int | None) -> str:
    return "" if count is None else f" on {count:,} rows"
