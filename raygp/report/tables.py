"""The tables that people read: versions, phases, layers, arrivals, garbage. A new column is a new line here."""

from __future__ import annotations

from collections.abc import Sequence

from raygp.record import PhaseRecord, measured
from raygp.report.grid import Column, Grid
from raygp.store import Card, Garbage, Manifest


def versions_table(cards: Sequence[Card], head: str | None = None, waiting: str | None = None) -> Grid[Card]:
    """One row a version: what it saw, how sparse and how good it is, what it cost.

    Args:
        cards: of the versions.
        head: the version that gets the head's mark.
        waiting: the one that gets a question mark, as it waits for approval.
    """
    marks = {waiting: " ?", head: " *"}
    rates = list(dict.fromkeys(name for card in cards for name in error_rates(card)))
    compares = any(card.parent_val_accuracy is not None for card in cards)
    metric = cards[0].metric if cards else ""
    of = unit(metric)
    parent = Column[Card](f"parent {of}", lambda card: percent(shared_rows(card)[1], metric))
    # Where the parent knows all classes these are the rows of "val %".
    on_shared = Column[Card]("known %", lambda card: percent(shared_rows(card)[0]))
    among = Column[Card]("among %", lambda card: percent(card.known.among_known if card.known else None), 3)
    of_known = [*([on_shared] if any(card.known for card in cards) else []), *([among] if _restricted(cards) else [])]
    beside = [*of_known, parent] if compares else []
    return Grid(
        [
            Column("version", lambda card: card.version + marks.get(card.version, ""), text=True),
            Column("arrivals", lambda card: str(len(card.arrivals)), 6),
            Column("density", lambda card: f"{card.density:.4f}", 1),
            Column("active", lambda card: f"{card.active_connections:,}", 4),
            Column(f"val {of}", lambda card: percent(card.val_accuracy, metric)),
            Column("val rows", lambda card: count(card.val_rows), 1),
            *beside,
            Column(f"test {of}", lambda card: percent(card.test_accuracy, metric), 2),
            *(_rate_column(name) for name in rates),
            Column("examples", lambda card: f"{card.ledger.examples:,.0f}", 3),
            Column("sparse TFLOP", lambda card: f"{card.ledger.sparse_flops / 1e12:,.3g}", 8),
            Column("dense TFLOP", lambda card: f"{card.ledger.dense_flops / 1e12:,.3g}", 9),
            Column("worker s", lambda card: f"{card.ledger.worker_seconds:,.1f}", 7),
            Column("reduced MB", lambda card: f"{card.ledger.reduced_bytes / 1e6:,.1f}", 10),
        ],
        cards,
        _versions_note(cards),
    )


def _versions_note(cards: Sequence[Card]) -> str:
    """Which accuracies may be compared with each other, where there are several."""
    if all(card.parent_val_accuracy is None for card in cards):
        return ""
    of = unit(cards[0].metric)
    pair = f"known {of} and parent {of}" if any(card.known for card in cards) else f"val {of} and parent {of}"
    note = f"{pair}: a version and its parent on the same rows"
    if any(card.known for card in cards):
        note += ", those of classes that the parent knows"
    if _restricted(cards):
        note += ". among %: the version too answers with these classes alone"
    if len({card.val_rows for card in cards}) > 1:
        note += ". Versions have different val and test rows"
    return note + "."


def _restricted(cards: Sequence[Card]) -> bool:
    """Whether any version is known to have been measured among the classes of its parent."""
    return any(card.known is not None and card.known.among_known is not None for card in cards)


def shared_rows(card: Card) -> tuple[float, float | None]:
    """Accuracy of a version and its parent over the validation rows of classes that both know."""
    both = card.known
    return (card.val_accuracy, card.parent_val_accuracy) if both is None else (both.accuracy, both.parent_accuracy)


def _rate_column(name: str) -> Column[Card]:
    return Column(f"{name} %", lambda card: percent(error_rates(card).get(name)), 5)


def error_rates(card: Card) -> dict[str, float]:
    """Word and character error rate on the test split by short name, of a task that has them."""
    names = {"WER": "word accuracy", "CER": "character accuracy"}
    return {short: 1.0 - card.test_metrics[name] for short, name in names.items() if name in card.test_metrics}


def phases_table(card: Card) -> Grid[PhaseRecord]:
    """One row a phase of a version's update."""
    stopped = Column[PhaseRecord]("ended early", lambda phase: phase.stopped, 2, text=True)
    return Grid(
        [
            Column("phase", lambda phase: phase.kind, text=True),
            Column("epochs", lambda phase: str(phase.epochs), 3),
            Column("grown", lambda phase: f"{phase.grown:,}", 1),
            Column("pruned", lambda phase: f"{phase.pruned:,}", 1),
            Column("restored", lambda phase: f"{phase.restored:,}", 4),
            Column("density", lambda phase: f"{phase.density_after:.4f}"),
            Column(f"val {unit(card.metric)}", lambda phase: percent(phase.val_accuracy, card.metric)),
            *([stopped] if any(phase.stopped for phase in card.phases) else []),
        ],
        card.phases,
    )


def layers_table(card: Card) -> Grid[tuple[str, float]]:
    """One row a layer: its density."""
    return Grid(
        [
            Column("layer", lambda layer: layer[0], text=True, fold=True),
            Column("density", lambda layer: f"{layer[1]:.4f}"),
        ],
        list(card.densities.items()),
    )


def arrivals_table(pending: Sequence[Manifest]) -> Grid[Manifest]:
    """One row an arrival that waits."""
    return Grid(
        [
            Column("arrival", lambda manifest: manifest.arrival, text=True, fold=True),
            Column("train", lambda manifest: f"{manifest.rows('train'):,}"),
            Column("val", lambda manifest: f"{manifest.rows('val'):,}", 2),
            Column("test", lambda manifest: f"{manifest.rows('test'):,}", 3),
            Column("classes", lambda manifest: str(len(manifest.labels)), 1),
            Column("state", lambda manifest: "waiting", text=True),
        ],
        pending,
    )


def garbage_table(garbage: Sequence[Garbage]) -> Grid[Garbage]:
    """One row a folder or file that nothing refers to."""
    return Grid(
        [
            Column("path", lambda item: item.what, text=True, fold=True),
            Column("files", lambda item: f"{len(item.files):,}", 2),
            Column("MB", lambda item: f"{item.bytes / 1e6:,.1f}", 1),
            Column("why", lambda item: item.reason, text=True, fold=True),
        ],
        garbage,
    )


def count(value: int | None) -> str:
    """A number of rows; a dash for None."""
    return "-" if value is None else f"{value:,}"


def percent(value: float | None, metric: str = "") -> str:
    """A fraction in per cent with two decimals; a dash for None. What is no share of right answers, and so has a name
    (:attr:`raygp.record.UpdateRecord.metric`), is shown as it is."""
    if value is None:
        return "-"
    return measured(value, metric) if metric else f"{100 * value:.2f}"


def unit(metric: str) -> str:
    """What stands behind the name of a column of such values: ``%``, or the metric's name."""
    return metric or "%"
