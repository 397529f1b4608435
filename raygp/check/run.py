"""All checks of a task, one after the other. What cannot be looked at because an earlier check failed is said."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from raygp.check import data, learning, memory, model, rehearsal, travel
from raygp.check.finding import Fault
from raygp.check.subject import Subject
from raygp.errors import RaygpError
from raygp.finding import Finding
from raygp.tasks.own_errors import in_layer, in_own_code


@dataclass(frozen=True)
class Check:
    """One check, and those that have to pass before it."""

    name: str
    look: Callable[[Subject], str]
    """What was seen. Raises Fault."""
    needs: tuple[str, ...] = ()


CHECKS = (
    Check("samples", data.decoding),
    Check("labels", data.labels, ("samples",)),
    Check("input", data.preparing, ("samples",)),
    Check("augmentation", data.augmenting, ("input",)),
    Check("model", model.building, ("labels",)),
    Check("pruning", model.pruning, ("model",)),
    Check("outputs", model.outputs, ("model", "input")),
    Check("batches", model.batching, ("outputs",)),
    Check("loss", learning.loss, ("outputs",)),
    Check("teacher", learning.teaching, ("outputs",)),
    Check("gradient", learning.gradient, ("loss", "augmentation")),
    Check("metric", learning.metric, ("outputs",)),
    Check("answers", learning.answers, ("outputs",)),
    Check("workers", travel.travelling, ("model",)),
    Check("memory", memory.memory, ("outputs",)),
    Check(
        "update",
        rehearsal.updating,
        ("augmentation", "pruning", "batches", "loss", "teacher", "gradient", "metric", "answers"),
    ),
)
"""In order."""


def check_task(subject: Subject, without: Collection[str] = ()) -> Iterator[Finding]:
    """Try a task out. Findings come one by one.

    Args:
        subject: the task, and the rows to try it on.
        without: names of checks that are left out.
    """
    failed: set[str] = set()
    yield from (Finding("names", "warning", doubt) for doubt in getattr(subject.task, "oversights", ()))
    for check in CHECKS:
        if check.name in without:
            continue
        if missing := [name for name in check.needs if name in failed]:
            failed.add(check.name)
            yield Finding(check.name, "not looked at", f"{missing[0]} has to be right first")
            continue
        finding = _finding(check, subject)
        if finding.state != "ok":
            failed.add(check.name)
        yield finding


def _finding(check: Check, subject: Subject) -> Finding:
    try:
        return Finding(check.name, "ok", check.look(subject))
    except (Fault, RaygpError) as error:
        return Finding(check.name, "problem", str(error))
    except Exception as error:  # Code of one's own raises what it likes.
        file = subject.code.file if subject.code else subject.task.name
        said = in_own_code(error) or in_layer(error, file) or f"{type(error).__name__}: {error}"
        return Finding(check.name, "problem", said)
