"""What the command line and the jobs do, in terms of a person's wishes: ingest, update, look."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar

from raygp.cluster.line_update import line_state, next_job, update_line
from raygp.cluster.session import ray_session
from raygp.cluster.stopping import Terminated, leave, on_sigterm
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.parts import one_by_one
from raygp.data.sources import Source
from raygp.errors import ConflictError, InputError, RaygpError, StoppedError
from raygp.report.progress import PhaseLines
from raygp.report.summary import write_summary
from raygp.report.sweep import space_table, sweep_line, trials_table, write_sweep_figure
from raygp.report.tables import arrivals_table, layers_table, phases_table, versions_table
from raygp.search.algorithms import SEARCHES
from raygp.search.layout import lay_out
from raygp.search.space import describe, space_of
from raygp.settings import RunSettings
from raygp.store import (
    Card,
    Location,
    Manifest,
    check_root_usable,
    line_lease,
    list_arrivals,
    list_versions,
    read_card,
    require_conditional_writes,
)
from raygp.update.job import UpdateJob


def make_console() -> Console:
    """Standard output; wide enough for tables where it is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def run_command(command: Callable[[], None]) -> int:
    """Run a command; a RaygpError becomes one line on standard error and its exit code."""
    try:
        with on_sigterm(leave):
            command()
    except RaygpError as error:
        print(f"raygp: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("raygp: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except Terminated:
        print("raygp: stopped on request; run the same command again to go on", file=sys.stderr)
        return StoppedError.exit_code
    return 0


def publish(
    console: Console,
    location: Location,
    task: dict[str, Any] | None,
    source: Source,
    settings: IngestSettings,
    tasks: int = 1,
) -> list[Manifest]:
    """Publish arrivals with a progress bar and a line for each.

    Args:
        console: what to print on.
        location, task, source, settings: see :func:`raygp.data.ingest.ingest`, for errors too.
        tasks: Ray tasks that read, check and store samples side by side; 1: this process does, without Ray.
    """
    if tasks < 1:
        raise InputError(f"--ingest-workers must be at least 1, not {tasks}")
    run = one_by_one
    with contextlib.ExitStack() as stack:
        if tasks > 1:
            stack.enter_context(ray_session())
            # Imports Ray, which the session has to prepare for.
            from raygp.cluster.ingest_run import as_tasks

            run = as_tasks(tasks)
        bar = stack.enter_context(Bar(console=console, transient=True, disable=not console.is_terminal))
        work = bar.add_task("checking and writing samples", total=None)

        def watch(done: int, samples: int) -> None:
            bar.update(work, completed=done, total=samples)

        manifests = ingest(location, task, source, settings, watch, run)
    for manifest in manifests:
        counts = [f"{manifest.rows(split):,} {split}" for split in ("train", "val", "test") if manifest.rows(split)]
        classes = f"{len(manifest.labels)} classes"
        console.print(f"published {manifest.arrival}: {', '.join(counts)}, {classes} ({manifest.source})")
        if manifest.quarantined:
            where = location.url(f"arrivals/{manifest.arrival}/quarantine.jsonl")
            console.print(f"{manifest.arrival}: {manifest.quarantined:,} rows left out, see {where}")
    return manifests


def publish_missing(
    console: Console,
    location: Location,
    task: dict[str, Any],
    make_source: Callable[[], Source],
    settings: IngestSettings,
    tasks: int = 1,
) -> None:
    """Publish those of the arrivals that are not there yet. An interrupted job can be run again.

    Raises:
        InputError: the arrivals that are there came from another source.
    """
    check_root_usable(location)
    published = {manifest.arrival: manifest for manifest in list_arrivals(location)}
    missing = [name for name in settings.arrivals if name not in published]
    if not missing:
        return
    source = make_source()
    for name in settings.arrivals:
        if name in published and published[name].source != source.name:
            raise InputError(
                f"{location.root} has {name} from '{published[name].source}', not from '{source.name}': "
                "give another --root, or add to this one with raygp ingest"
            )
    try:
        publish(console, location, task, source, settings, tasks)
    except ConflictError as error:
        if not published:
            raise
        raise InputError(
            f"{location.root} has some of the arrivals of this job but not {', '.join(missing)}: "
            "give another --root, or add them with raygp ingest"
        ) from error


def update(
    console: Console, location: Location, settings: RunSettings, verbose: bool = False, sweep: bool = False
) -> list[Card]:
    """Fold all pending arrivals into the line; says so if there are none, without starting Ray.

    Args:
        console: what to print on.
        location: root of the line.
        settings: plans, workers and the rest.
        verbose: let Ray's own logs through.
        sweep: look for the plan of each arrival, as ``settings.sweep`` says.
    """
    state = line_state(location)
    if not state.pending:
        head = state.card.version if state.card else "no version yet"
        console.print(f"nothing new: {head} has seen every arrival ({len(state.seen)}) of {location.root}")
        return []
    require_conditional_writes(location)
    with line_lease(location, "raygp update"):
        return _update(console, location, settings, verbose, sweep)


def _update(console: Console, location: Location, settings: RunSettings, verbose: bool, sweep: bool) -> list[Card]:
    started = time.monotonic()
    state = line_state(location)
    next_job(location, state, state.pending[0], settings, sweep)
    if sweep:
        space_of(settings.plan, settings.sweep)
    waiting = "1 new arrival" if len(state.pending) == 1 else f"{len(state.pending)} new arrivals"
    console.print(f"{waiting} for {location.root}; starting Ray ...")
    promoted: list[Card] = []
    lines = contextlib.ExitStack()

    def begin(job: UpdateJob) -> Callable[[Any], None]:
        start = f"from {job.parent.version}" if job.parent else "initial synthesis"
        console.print(f"{job.version}: {job.arrival.arrival}, {start}, plan '{job.plan.name}'")
        return lines.enter_context(PhaseLines(console, job.version))

    def end(card: Card) -> None:
        lines.close()
        promoted.append(card)
        if card.sweep:
            console.print(trials_table(card.sweep))
            console.print(f"{card.version}: trial {card.sweep['winner']} wins: {card.sweep['why']}")
            if figure := write_sweep_figure(location, card):
                console.print(f"{card.version}: trials drawn in {figure}")
        console.print(f"{card.version}: promoted, {_verdict(card)}")
        write_summary(location, list_versions(location), time.monotonic() - started)

    def told(job: UpdateJob) -> Callable[[Any], None]:
        show = console_lines(console)

        def tell(event: Any) -> None:
            if line := sweep_line(event, job.version):
                show(line)

        return tell

    with ray_session(verbose), lines:
        update_line(location, settings, begin, end, told if sweep else None)
    return promoted


def plan_sweep(console: Console, location: Location, settings: RunSettings) -> None:
    """Say what a sweep of the next arrival would try and cost. Nothing is run or written.

    Raises:
        InputError: the space does not fit the plan, or nothing waits.
    """
    state = line_state(location)
    if not state.pending:
        raise InputError(f"nothing is waiting in {location.root}: a sweep is of the next arrival")
    if state.card is None:
        raise InputError(f"{location.root} has no version yet, and the first one's plan is not searched for")
    sweep, plan, arrival = settings.sweep, settings.plan, state.pending[0]
    past = [card.sweep for card in reversed(list_versions(location)) if card.sweep]
    old = sum(manifest.rows("train") for manifest in list_arrivals(location) if manifest.arrival in state.seen)
    layout = lay_out(
        plan, sweep, past, state.card.val_accuracy, state.card.total_connections, old, arrival.rows("train")
    )
    cost = layout.cost
    console.print(space_table(plan, layout.space))
    console.print(f"{arrival.arrival} on {state.card.version}: {layout.trials} trials, {sweep.search} search")
    for point in layout.points:
        end = ", to its end" if sweep.scheduler != "none" and point in layout.kept else ""
        console.print(f"tried first{end}: {describe(point)}")
    if layout.known and SEARCHES.get(sweep.search).learns:
        console.print(f"learns from {len(layout.known)} trials of earlier sweeps")
    stops = "all run to their end" if sweep.scheduler == "none" else f"stopped early by {sweep.scheduler}"
    console.print(
        f"{sweep.concurrent} at a time, {stops}; each has {settings.workers.spelled} workers with a GPU each where the "
        "cluster has as many, else a CPU or part of one"
    )
    console.print(
        f"expected cost in examples: {cost.low:,.0f} ({cost.low / cost.update:.1f} plain updates), at most "
        f"{cost.high:,.0f}; of that once for all trials {cost.shared:,.0f}; budgets: "
        f"{_budget(sweep.max_hours, 'hours')}, {_budget(layout.limit, 'examples')}"
    )


def _budget(value: float | None, unit: str) -> str:
    return f"no limit in {unit}" if value is None else f"at most {value:,.6g} {unit}"


def console_lines(console: Console) -> Callable[[str], None]:
    """Prints lines uncut."""
    return lambda line: console.print(line, soft_wrap=True)


def report(console: Console, location: Location) -> None:
    """The table of all versions."""
    state = line_state(location)
    console.print(versions_table(list_versions(location), state.card.version if state.card else None))


def status(console: Console, location: Location) -> None:
    """Head, arrivals seen and waiting."""
    state = line_state(location)
    console.print(f"line {location.root}: task {state.task['name']}")
    if state.card:
        console.print(f"head {state.card.version}: density {state.card.density:.4f}, {_verdict(state.card)}")
    else:
        console.print("head: none yet (raygp update makes the first version)")
    shown = ", ".join(state.seen[-5:])
    console.print(f"arrivals in the head: {len(state.seen)}" + (f" (last {shown})" if shown else ""))
    if state.pending:
        console.print(arrivals_table(state.pending))
    else:
        console.print("nothing is waiting")


def show(console: Console, location: Location, version: str) -> None:
    """One version: where it comes from, phases, layers, cost."""
    line_state(location)
    card = read_card(location, version)
    origin = f"from {card.parent}" if card.parent else "initial synthesis"
    console.print(f"{card.version}, {origin}, folds in {card.arrival} ({card.created}), update {card.update}")
    console.print(f"{len(card.classes)} classes, plan '{card.plan['name']}', seed {card.seed}")
    console.print(f"masks {card.mask_digest}")
    console.print(versions_table([card]))
    console.print(phases_table(card))
    if card.sweep:
        console.print(trials_table(card.sweep))
        console.print(f"trial {card.sweep['winner']} won: {card.sweep['why']}")
    console.print(layers_table(card))


def _verdict(card: Card) -> str:
    parts = [f"validation {card.val_accuracy:.2%}"]
    if card.parent_val_accuracy is not None:
        noise = f" (noise {card.val_noise:.2%})" if card.val_noise else ""
        parts.append(f"parent {card.parent_val_accuracy:.2%}{noise}")
    if card.test_accuracy is not None:
        parts.append(f"test {card.test_accuracy:.2%}")
    return ", ".join(parts)


def equal_or_given_shares(arrivals: int, shares: Sequence[float] | None) -> list[float]:
    """Parts of the training samples by arrival: as given, or 60 % first and the rest in equal parts.

    Raises:
        InputError: not as many shares as arrivals, or they do not add up to 1.
    """
    if arrivals < 1:
        raise InputError(f"--arrivals must be at least 1, not {arrivals}")
    if shares is None:
        return [1.0] if arrivals == 1 else [0.6] + [0.4 / (arrivals - 1)] * (arrivals - 1)
    if len(shares) != arrivals or abs(sum(shares) - 1.0) > 1e-6 or min(shares) <= 0:
        raise InputError(f"--shares needs {arrivals} positive numbers that add up to 1, not {list(shares)}")
    return list(shares)


def arrival_names(count: int) -> Iterator[str]:
    """arrival-000, arrival-001, ..."""
    return (f"arrival-{number:03d}" for number in range(count))
