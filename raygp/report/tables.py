"""Tables of versions and arrivals."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from raygp.store import Card, Garbage, Manifest


def versions_table(cards: Sequence[Card], head: str | None = None) -> Table:
    """One row a version: what it saw, how sparse and how good it is, what it cost."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("version", no_wrap=True)
    rates = list(dict.fromkeys(name for card in cards for name in error_rates(card)))
    for name in (
        "arrivals",
        "density",
        "active",
        "val %",
        "test %",
        *(f"{name} %" for name in rates),
        "examples",
        "sparse TFLOP",
        "dense TFLOP",
        "worker s",
        "reduced MB",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for card in cards:
        ledger = card.ledger
        table.add_row(
            card.version + (" *" if card.version == head else ""),
            str(len(card.arrivals)),
            f"{card.density:.4f}",
            f"{card.active_connections:,}",
            percent(card.val_accuracy),
            percent(card.test_accuracy),
            *(percent(error_rates(card).get(name)) for name in rates),
            f"{ledger.examples:,.0f}",
            f"{ledger.sparse_flops / 1e12:,.3g}",
            f"{ledger.dense_flops / 1e12:,.3g}",
            f"{ledger.worker_seconds:,.1f}",
            f"{ledger.reduced_bytes / 1e6:,.1f}",
        )
    return table


def error_rates(card: Card) -> dict[str, float]:
    """Word and character error rate on the test split by short name, of a task that has them."""
    names = {"WER": "word accuracy", "CER": "character accuracy"}
    return {short: 1.0 - card.test_metrics[name] for short, name in names.items() if name in card.test_metrics}


def phases_table(card: Card) -> Table:
    """One row a phase of a version's update."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("phase", no_wrap=True)
    for name in ("epochs", "grown", "pruned", "restored", "density", "val %"):
        table.add_column(name, justify="right")
    table.add_column("ended early")
    for phase in card.phases:
        table.add_row(
            phase.kind,
            str(phase.epochs),
            f"{phase.grown:,}",
            f"{phase.pruned:,}",
            f"{phase.restored:,}",
            f"{phase.density_after:.4f}",
            percent(phase.val_accuracy),
            phase.stopped,
        )
    return table


def layers_table(card: Card) -> Table:
    """One row a layer: its density."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer", no_wrap=True)
    table.add_column("density", justify="right")
    for name, density in card.densities.items():
        table.add_row(name, f"{density:.4f}")
    return table


def arrivals_table(pending: Sequence[Manifest]) -> Table:
    """One row an arrival that waits."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arrival", no_wrap=True)
    for name in ("train", "val", "test", "classes"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for manifest in pending:
        counts = [f"{manifest.rows(split):,}" for split in ("train", "val", "test")]
        table.add_row(manifest.arrival, *counts, str(len(manifest.labels)), "waiting")
    return table


def garbage_table(garbage: Sequence[Garbage]) -> Table:
    """One row a folder or file that nothing refers to."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("path", overflow="fold")
    table.add_column("files", justify="right")
    table.add_column("MB", justify="right")
    table.add_column("why")
    for item in garbage:
        table.add_row(item.what, f"{len(item.files):,}", f"{item.bytes / 1e6:,.1f}", item.reason)
    return table


def percent(value: float | None) -> str:
    """A fraction in per cent with two decimals; a dash for None."""
    return "-" if value is None else f"{100 * value:.2f}"
