"""The line's story in plain words, and the figures at the top: made from the parts of the story and from nothing else.

Two accuracies stand side by side only where they were measured on the same rows; where they were not, it says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from raygp.data.listing import numbered
from raygp.page.saying import capital, counted, day, density_of, flops, lasting, listed
from raygp.page.story import (
    ArrivalPart,
    ClassPart,
    Cost,
    Examples,
    Figure,
    RefusalPart,
    VersionPart,
)
from raygp.record import called, measured
from raygp.report.baseline import FINE_TUNING_EPOCHS


def opening(line: str, task: str, arrivals: Sequence[ArrivalPart], versions: Sequence[VersionPart]) -> str:
    """What the line is, and what has come and been made."""
    text = f"{line} keeps a {task} model up to date while labelled data keep arriving. "
    if not arrivals:
        return text + "No arrival has been published yet: raygp ingest takes in the first."
    rows = sum(arrival.train for arrival in arrivals)
    since = day(arrivals[0].published)
    came = "has" if len(arrivals) == 1 else "have"
    text += f"Since {since}, {counted(len(arrivals), 'arrival')} with {numbered(rows, 'training row')} {came} come"
    if not versions:
        return text + ". There is no version yet: raygp update makes the first."
    made = "was" if len(versions) == 1 else "were"
    text += f", and {counted(len(versions), 'version')} {made} made."
    if versions[0].origin:
        text += f" The first, {versions[0].version}, was not trained here: it was {versions[0].origin}."
    return text


def about_head(head: VersionPart, classes: Sequence[ClassPart], metric: str) -> str:
    """How good and how small the head is, and how it compares with its parent."""
    rows = "its validation rows" if head.rows is None else numbered(head.rows, "validation row")
    text = f"The head is {head.version}, made on {day(head.created)}. "
    if metric:
        text += f"Its {metric} is {measured(head.accuracy, metric)} on {rows}"
    else:
        text += f"It answers {measured(head.accuracy)} of {rows} right"
    text += f", with {numbered(head.active, 'connection')} of {head.total:,} active ({density_of(head.density)})."
    if head.known.parent is not None:
        text += f" {_beside_parent(head, metric)}"
    if head.test:
        name, value = next(iter(head.test.items()))
        shown = measured(value, metric if name == metric else "")
        text += f" On test rows, which are others, its {name} is {shown}."
    if len(classes) > 1:
        worst = min(classes, key=lambda part: part.pair.accuracy)
        has = "" if worst.pair.rows is None else f" on {numbered(worst.pair.rows, 'row')}"
        text += f" It is worst at class {worst.name}: {called(worst.pair.accuracy, metric)}{has}."
    return text


def _beside_parent(head: VersionPart, metric: str) -> str:
    """The version and its parent on the same rows."""
    pair = head.known
    assert pair.parent is not None
    ours = pair.accuracy if pair.among_known is None else pair.among_known
    rows = "" if pair.rows is None else f"{pair.rows:,} "
    of = f"the {rows}rows of classes that both know" if head.new is not None else "the same rows"
    among = ", answering with these classes alone" if pair.among_known is not None else ""
    shown = measured(head.noise or 0.0, metric)
    noise = f", where {shown} may be chance" if shown != measured(0.0, metric) else ""
    text = f"On {of}{among}, it has {called(ours, metric)} and its parent {head.parent} {measured(pair.parent, metric)}"
    return f"{text}{noise}."


def what_updates_did(versions: Sequence[VersionPart], metric: str) -> str:
    """Whether it was worth it: what updates did to the rows of their own arrivals, and to those of earlier ones. Empty
    where no version has a parent that was measured."""
    own = [version.own_gain for version in versions if version.own_gain is not None]
    if not own:
        return ""
    start = "The one update so far" if len(own) == 1 else f"On average over {counted(len(own), 'update')}, an update"
    of = metric or "accuracy"
    text = f"{start} {_moved(sum(own) / len(own), of, metric)} on what its own arrival holds out"
    kept = [version.backward_transfer for version in versions if version.backward_transfer is not None]
    if kept:
        text += f", and {_moved(sum(kept) / len(kept), 'it', metric)} on what earlier arrivals hold out"
    return f"{text}, each against its parent on the same rows."


def _moved(change: float, what: str, metric: str) -> str:
    """``raised accuracy by 1.20 points``."""
    size = f"{abs(change):.3f}" if metric else f"{100 * abs(change):.2f} points"
    if not float(size.removesuffix(" points")):
        return f"left {what} as it was"
    return f"{'raised' if change > 0 else 'lowered'} {what} by {size}"


def what_happened(
    versions: Sequence[VersionPart],
    arrivals: Sequence[ArrivalPart],
    refusals: Sequence[RefusalPart],
    half_done: Sequence[str],
    awaits: str,
) -> str:
    """New classes, refusals, rollbacks, and what waits."""
    said = [_new_classes(versions), _refused(refusals), _aside(versions)]
    waiting = [arrival.arrival for arrival in arrivals if arrival.state != "seen"]
    if versions and waiting:
        wait = "waits" if len(waiting) == 1 else "wait"
        said.append(f"{capital(counted(len(waiting), 'arrival'))} {wait} for an update: {listed(waiting)}.")
    if awaits:
        said.append(f"{awaits} has passed the gate and waits for a person: raygp approve or raygp reject.")
    if half_done:
        is_done = "is" if len(half_done) == 1 else "are"
        said.append(f"{capital(counted(len(half_done), 'update'))} {is_done} half done.")
    return " ".join(text for text in said if text)


def _new_classes(versions: Sequence[VersionPart]) -> str:
    brought = [(version.version, version.new_classes) for version in versions if version.new_classes]
    if not brought:
        return ""
    count = sum(len(names) for _, names in brought)
    each = listed([f"{listed(names)} with {version}" for version, names in brought])
    return f"{capital(counted(count, 'class', 'classes'))} came after the first version: {each}."


def _refused(refusals: Sequence[RefusalPart]) -> str:
    if not refusals:
        return ""
    if len(refusals) == 1:
        one = refusals[0]
        return f"One update was refused, of {one.arrival}: {plain_reason(one.reason)}."
    arrivals = list(dict.fromkeys(refusal.arrival for refusal in refusals))
    return f"{capital(counted(len(refusals), 'update'))} were refused, of {listed(arrivals)}."


def plain_reason(reason: str) -> str:
    """Why a candidate was refused, without the word that says that it was."""
    return reason.removeprefix("rejected: ").rstrip(".")


def _aside(versions: Sequence[VersionPart]) -> str:
    aside = [version.version for version in versions if version.state == "aside"]
    if not aside:
        return ""
    lies = "lies" if len(aside) == 1 else "lie"
    return f"The line was rolled back: {listed(aside)} {lies} outside the head's history."


def what_it_cost(spent: Cost, versions: Sequence[VersionPart], refusals: Sequence[RefusalPart]) -> str:
    """What the line spent, beside what the same passes cost in a dense network and what fine-tuning would take."""
    if not spent.examples:
        return ""
    also = ", refused updates included" if refusals else ""
    text = (
        f"All of it cost {spent.examples:,.0f} examples (a forward and a backward pass each) in "
        f"{lasting(spent.worker_seconds)} of a worker's time{also}."
    )
    if spent.dense_flops > spent.sparse_flops > 0:
        share = spent.sparse_flops / spent.dense_flops
        text += (
            f" Over active connections these passes take {flops(spent.sparse_flops)}; with every connection active "
            f"they would take {flops(spent.dense_flops)}: {100 * (1 - share):.0f}% is saved wherever zeros are skipped."
        )
    forecasts = [(version.fine_tuning, version.cost) for version in versions if version.fine_tuning is not None]
    if forecasts:
        tuned = sum(forecast for forecast, _ in forecasts if forecast)
        ours = sum(cost.examples for _, cost in forecasts)
        text += (
            f" Fine-tuning a dense network on everything at each arrival would take {tuned:,.0f} examples, where "
            f"updates took {ours:,.0f}: a forecast, of {FINE_TUNING_EPOCHS} epochs each time."
        )
    return text


def about_examples(examples: Examples | None) -> str:
    """How many held-out rows the head answers differently from its parent."""
    if examples is None:
        return ""
    differ = examples.gained + examples.lost + examples.other
    some = examples.looked_at < examples.of_rows
    of = f"{examples.looked_at:,} of {examples.of_rows:,}" if some else f"all {examples.looked_at:,}"
    start = f"{examples.version} and {examples.parent} answered {of} validation rows"
    if not differ:
        return f"{start}, all of them alike."
    text = f"{start} and differ on {differ:,}"
    better, worse = ("came closer", "moved away") if examples.numbers else ("became right", "became wrong")
    parts = [(examples.gained, better), (examples.lost, worse), (examples.other, "changed otherwise")]
    said = [f"{counted(count, 'answer')} {what}" for count, what in parts if count]
    return f"{text}: {listed(said)}."


def top_figures(
    head: VersionPart | None,
    arrivals: Sequence[ArrivalPart],
    versions: Sequence[VersionPart],
    spent: Cost,
    metric: str,
) -> list[Figure]:
    """The figures at the top of the page."""
    found = []
    if head is not None:
        rows = "" if head.rows is None else f"on {numbered(head.rows, 'validation row')}"
        found.append(Figure(name=metric or "accuracy", value=measured(head.accuracy, metric), note=rows))
        found.append(
            Figure(name="connections", value=f"{head.active:,}", note=f"{density_of(head.density)} of {head.total:,}")
        )
    waiting = sum(arrival.state != "seen" for arrival in arrivals)
    found.append(
        Figure(
            name="arrivals" if len(arrivals) != 1 else "arrival",
            value=f"{len(arrivals):,}",
            note=f"{waiting:,} waiting" if waiting else "none waiting" if arrivals else "",
        )
    )
    aside = sum(version.state == "aside" for version in versions)
    found.append(
        Figure(
            name="versions" if len(versions) != 1 else "version",
            value=f"{len(versions):,}",
            note=f"{aside:,} rolled back" if aside else f"head {head.version}" if head else "",
        )
    )
    if versions:
        found.append(Figure(name="examples spent", value=f"{spent.examples:,.0f}", note=lasting(spent.worker_seconds)))
    return found
