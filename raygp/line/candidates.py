"""What becomes of a candidate: it is tried as it lies in storage, and promoted or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from raygp.errors import InputError, RejectedError
from raygp.events import Listener, Refused
from raygp.line.approval import await_approval
from raygp.line.state import read_state
from raygp.line.unfinished import find_unfinished
from raygp.line.version import Version
from raygp.store import (
    Card,
    Location,
    Refusal,
    find_manifests,
    finish_interrupted_promotion,
    promote,
    read_head,
    remove_version,
    waiting_version,
    write_refusal,
)

if TYPE_CHECKING:
    from raygp.data.catalog import Catalog
    from raygp.record import UpdateRecord
    from raygp.tasks.own import TaskCode
    from raygp.update.gate import Verdict
    from raygp.update.probe import Probe


def finish_promotion(location: Location, code: TaskCode | None, tell: Listener, approval: bool) -> Card | None:
    """Promote the child of the head that was written before somebody was killed; None if there is none.

    Args:
        location: root of the line.
        code: of a task of one's own.
        tell: told of a refusal, and of one that waits.
        approval: whether it waits for a person instead. What was adopted does not: a person did that.

    Raises:
        RejectedError: it cannot be loaded as it lies in storage, or does not answer as it should.
    """
    head = read_head(location)
    card = waiting_version(location, head)
    if card is None:
        return None
    from raygp.data.catalog import build_catalog
    from raygp.update.checkpoints import youngest_checkpoint
    from raygp.update.outcome import Outcome

    folder = f"updates/{card.update}"
    # An adopted one has seen none, and is tried on what waits.
    names = card.arrivals or [found.arrival for found in read_state(location).pending if found.rows("val")]
    if not names:  # What it was measured on has been withdrawn since.
        return finish_interrupted_promotion(location)
    manifests = {found.arrival: found for found in find_manifests(location, names)}
    seen, new = [manifests[name] for name in names[:-1]], manifests[names[-1]]
    _, done = youngest_checkpoint(location, folder)
    probe = done.probe if isinstance(done, Outcome) else None
    catalog = build_catalog(location, seen, [new], card.classes, replays=False)
    # Of a sweep its own folder, not the winner's: a refusal there says that exactly this sweep was refused.
    update = _folder(location, card)
    bless(Version(location, card, code), head.version if head else None, update, catalog, probe, tell)
    if approval and not card.origin:
        reason = done.verdict.reason if isinstance(done, Outcome) else "passed the gate"
        await_approval(location, card, update, reason, tell)
    else:
        promote(location, card, head)
    return card


def _folder(location: Location, card: Card) -> str:
    """Where the update of a version that was not promoted keeps what it needs: of a sweep, not the winner's."""
    if card.sweep:
        for begun in find_unfinished(location):
            if begun.sweep and (begun.version, begun.arrival) == (card.version, card.arrival):
                return f"updates/{begun.update}"
    return f"updates/{card.update}"


def bless(
    candidate: Version, head: str | None, folder: str, catalog: Catalog, probe: Probe | None, tell: Listener
) -> None:
    """Have a candidate answer a few rows as it lies in storage (:mod:`raygp.line.blessing`); refuse it if it cannot.

    Raises:
        RejectedError: it was refused, and its files are gone.
        InputError: the same of one that was adopted.
    """
    from raygp.line.blessing import ADVICE, LOADING, unfit
    from raygp.update.gate import Verdict
    from raygp.update.probe import ROWS

    location, card = candidate.location, candidate.card
    if reason := unfit(location, card, candidate.task, catalog, probe):
        remove_version(location, card)
        if card.origin:
            said = f"{card.version}, which was adopted, {reason}: it is removed; adopt again"
            raise InputError(f"{location.root}: {said}")
        verdict = Verdict(False, f"rejected: {reason}", LOADING, ROWS, ADVICE)
        raise refused(location, head, folder, Candidate(card.version, card.folded_in, card), verdict, tell)


class Candidate(NamedTuple):
    """What is said of a candidate that was refused."""

    version: str
    arrivals: Sequence[str]
    """That it folded in; the newest is the last."""
    record: UpdateRecord


def refused(
    location: Location, head: str | None, folder: str, candidate: Candidate, verdict: Verdict, tell: Listener
) -> RejectedError:
    """Remember a refusal, so that exactly this update is not tried again, and say it.

    Args:
        location: root of the line.
        head: what stays the head.
        folder: of the update.
        candidate: which one.
        verdict: on it.
        tell: told of it.
    """
    refusal = Refusal(reason=verdict.reason, val_accuracy=candidate.record.val_accuracy, ledger=candidate.record.ledger)
    location.delete(folder, recursive=True)
    write_refusal(location, folder, refusal)
    tell(
        Refused(
            version=candidate.version,
            arrival=candidate.arrivals[-1],
            beside=tuple(candidate.arrivals[:-1]),
            reason=verdict.reason,
            head=head,
            decided_by=verdict.decided_by,
            advice=verdict.advice,
            record=candidate.record,
        )
    )
    hint = f". Try {verdict.advice}" if verdict.advice else ""
    arrivals = ", ".join(candidate.arrivals)
    return RejectedError(
        f"{candidate.version} from {arrivals} {verdict.reason}: {head or 'nothing'} stays the head{hint}"
    )
