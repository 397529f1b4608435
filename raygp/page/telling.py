"""From a line's documents and models to its story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raygp import __version__
from raygp.data.listing import numbered
from raygp.errors import RaygpError
from raygp.events import Listener, Notice
from raygp.page import words
from raygp.page.facts import Facts
from raygp.page.story import Examples, RefusalPart, Story
from raygp.page.updates import Seen, update_parts
from raygp.page.versions import arrival_parts, class_parts, cost_of, matrix_of, spending, version_parts
from raygp.store.documents import utc_now
from raygp.tasks.libraries import title_of

if TYPE_CHECKING:
    from raygp.tasks import Task


@dataclass(frozen=True)
class _Looked:
    """What the models themselves show."""

    seen: Seen = field(default_factory=Seen)
    examples: Examples | None = None
    left_out: tuple[str, ...] = ()


def tell_story(facts: Facts, make_task: Callable[[], Task], tell: Listener, examples: bool = True) -> Story:
    """The story of a line. Nothing is written.

    What the models show (masks, sizes of layers, examples) is left out where they cannot be made or read; the story
    says so.

    Args:
        facts: what its documents say.
        make_task: gives the line's task, or raises InputError.
        tell: told of what takes time, as Notice.
        examples: look for rows that the head answers differently from its parent.
    """
    looked = _look(facts, make_task, tell, examples)
    versions, arrivals = version_parts(facts), arrival_parts(facts)
    updates, without_epochs = update_parts(facts, looked.seen)
    classes, refusals = class_parts(facts), _refusals(facts)
    head = next((version for version in versions if version.state == "head"), None)
    line = facts.location.root.rstrip("/").rpartition("/")[2] or facts.location.root
    task, metric, spent = title_of(facts.task), facts.metric, cost_of(spending(facts)[""])
    paragraphs = [
        words.opening(line, task, arrivals, versions),
        words.about_head(head, classes, metric) if head else "",
        words.what_updates_did(versions, metric),
        words.what_happened(versions, arrivals, refusals, facts.half_done, facts.awaits),
        words.what_it_cost(spent, versions, refusals),
    ]
    left_out = list(looked.left_out)
    if without_epochs:
        left_out.append(f"epochs of the {numbered(without_epochs, 'oldest update')}: raygp show VERSION has them")
    return Story(
        line=line,
        root=facts.location.root,
        task=task,
        metric=metric,
        made=utc_now(),
        raygp=__version__,
        head=head.version if head else None,
        words=[paragraph for paragraph in paragraphs if paragraph],
        figures=words.top_figures(head, arrivals, versions, spent, metric),
        versions=versions,
        arrivals=arrivals,
        matrix=matrix_of(facts),
        classes=classes,
        updates=updates,
        examples=looked.examples,
        refusals=refusals,
        spent=spent,
        half_done=facts.half_done,
        awaits=facts.awaits,
        left_out=left_out,
    )


def _look(facts: Facts, make_task: Callable[[], Task], tell: Listener, examples: bool) -> _Looked:
    """Load the models of the line, as far as that is possible."""
    if not facts.cards:
        return _Looked()
    from raygp.page.examples import differing_examples
    from raygp.page.masks import look_at_masks

    seen, found, left_out = Seen(), None, []
    try:
        task = make_task()
    except RaygpError as error:
        return _Looked(left_out=(f"masks, layer sizes and examples: {error}",))
    try:
        seen = look_at_masks(facts, task, tell)
    except Exception as error:  # Somebody's model raises what it likes; the rest of the page does without it.
        left_out.append(f"masks and layer sizes: {_said(error)}")
    if not examples:
        left_out.append("examples: --no-examples")
    else:
        try:
            found = differing_examples(facts, task, tell)
        except Exception as error:
            left_out.append(f"examples: {_said(error)}")
    for text in left_out:
        tell(Notice(text=f"left out: {text}"))
    return _Looked(seen, found, tuple(left_out))


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, RaygpError) else f"{type(error).__name__}: {text}"


def _refusals(facts: Facts) -> list[RefusalPart]:
    return [
        RefusalPart(
            update=update.update,
            version=update.version,
            arrival=update.arrival,
            reason=words.plain_reason(update.refusal.reason),
            accuracy=update.refusal.val_accuracy,
            cost=cost_of(update.refusal.ledger),
        )
        for update in facts.refused
        if update.refusal is not None
    ]
