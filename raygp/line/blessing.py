"""The second blessing: before a candidate becomes the head, it is loaded from storage the way it will be used, and
answers a few held-out rows. The gate judged the model in the memory of those who trained it; promoted is a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raygp.errors import InputError, RaygpError

if TYPE_CHECKING:
    import pyarrow as pa

    from raygp.data.catalog import Catalog
    from raygp.inference import Predictor
    from raygp.store import Card, Location
    from raygp.tasks import Task
    from raygp.update.probe import Probe

LOADING = "loading"
"""What decided where a candidate is refused here: :attr:`raygp.update.gate.Verdict.decided_by`."""
ADVICE = (
    "a model that keeps all it has learnt in its parameters and buffers, so that state_dict() holds it, and whose "
    "answer to a sample does not depend on the others of its batch"
)
"""What to try after such a refusal."""


def unfit(location: Location, card: Card, task: Task, catalog: Catalog, probe: Probe | None) -> str:
    """Why a version that lies in storage must not become the head; empty if it may.

    One shard of the arrival is read, and a few rows of it are answered. Answers must be finite, and where it is known
    what the trained model made of the rows, they must be its answers.

    Args:
        location: root of the line.
        card: of the version, which is written and not promoted.
        task: the line's.
        catalog: of the update that made it.
        probe: what the trained model made of some rows; None: that is not known.

    Raises:
        RaygpError: storage fails, or the shard is not what it should be: that says nothing about the version.
    """
    from raygp.store import read_shard
    from raygp.update.probe import probe_rows, probe_shard

    ref = probe_shard(catalog, card.arrival)
    rows = probe_rows(catalog, card.arrival) - ref.first
    table = read_shard(location, ref.arrival, ref.shard).take(rows)
    where = [f"arrivals/{ref.arrival}/{ref.shard.file} row {row}" for row in rows.tolist()]
    try:
        return _tried(location, card, task, table, where, probe)
    except InputError as error:
        return f"cannot be loaded: {error}"
    except (RaygpError, MemoryError):
        raise
    except Exception as error:  # Somebody's model or task raises what it likes: the candidate is refused for it.
        return f"cannot answer: {type(error).__name__}: {' '.join(str(error).split())}"


def _tried(location: Location, card: Card, task: Task, table: pa.Table, where: list[str], probe: Probe | None) -> str:
    """What is wrong with a version's answers to the rows of a table; ``where`` the rows lie, for the message."""
    from raygp.inference import Predictor

    predictor = Predictor.of(location, card, task)
    decoded = []
    for place, sample in zip(where, table.column("sample").to_pylist(), strict=True):
        try:
            decoded.append(task.decode(sample))
        except ValueError as error:
            return f"cannot answer {place}: {error}"
    outputs = predictor.outputs(decoded)
    if not _is_finite(outputs):
        return f"gives outputs that are not finite, on {len(decoded)} held-out rows such as {where[0]}"
    task.answers(outputs, card.classes)  # Only for what it raises.
    if probe is None or len(probe.rows) != len(decoded):
        return ""
    found = _measured(predictor, card, outputs, table.column("label").to_pylist(), probe)
    if not (differing := probe.differing(found)):
        return ""
    return (
        f"does not answer as the model did that was trained: on {len(differing)} of {len(decoded)} held-out rows its "
        f"score is another, such as {where[differing[0]]} ({found.points[differing[0]]:.4g} in place of "
        f"{probe.points[differing[0]]:.4g})"
    )


def _measured(predictor: Predictor, card: Card, outputs: Any, labels: list[str], probe: Probe) -> Probe:
    """The probe as the loaded model has it."""
    from raygp.data.ragged import stacked
    from raygp.update.probe import Probe

    ids = {name: number for number, name in enumerate(card.classes)}
    task = predictor.task
    targets = stacked([task.target(label, ids) for label in labels], task.sequences)
    points = task.score(outputs, targets)[:, 0, 0]
    return Probe(probe.rows, tuple(points.tolist()), tuple(task.losses(outputs, targets).double().tolist()))


def _is_finite(outputs: Any) -> bool:
    from raygp.tasks.padded import Padded

    values = outputs.values[outputs.valid()] if isinstance(outputs, Padded) else outputs
    return bool(values.isfinite().all())
