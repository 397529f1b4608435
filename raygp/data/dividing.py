"""A source's rows, divided into arrivals and splits as the settings say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raygp.data.admission import Holdings, check_usable
from raygp.data.duplicates import Chosen
from raygp.data.ingest_settings import IngestSettings
from raygp.data.sources import SourceSample, SplitName
from raygp.data.sources.split import Splits, draw_splits
from raygp.errors import InputError
from raygp.store import Duplicates


def divide(
    chosen: Chosen, samples: Sequence[SourceSample], settings: IngestSettings, before: Holdings, classes: bool
) -> tuple[list[Splits], Duplicates]:
    """Rows by split for each arrival, and how many are duplicates.

    Args:
        chosen: rows that are new, and those that are training rows once more.
        samples: of the source.
        settings: names, shares, seed.
        before: what the line has.
        classes: whether labels are classes; False: they are texts.

    Raises:
        InputError: an arrival would have no rows, or no update could use the first one.
    """
    counts, kept = chosen.counts, 0
    divided: list[Splits] = []
    ends = np.rint(np.cumsum(settings.shares) * len(chosen.again)).astype(int).tolist()
    for splits, start, end in zip(_draw(chosen, samples, settings, classes), [0, *ends], ends, strict=False):
        rows: Splits = {split: [chosen.drawn[i] for i in some] for split, some in splits.items()}
        following: tuple[SplitName, ...] = ("train", "val", "test") if chosen.together else ("train",)
        for split in following:
            copies = [copy for row in rows[split] for copy in chosen.copies.get(row, ())]
            kept += len(copies)
            rows[split] += copies
        rows["train"] += chosen.again[start:end]
        divided.append(rows)
    try:
        _check(divided, samples, settings, before, classes)
    except InputError as error:
        if not (there := counts.skipped + counts.contradicted):
            raise
        of = f"{there:,} of {len(samples):,} rows are duplicates"
        raise InputError(f"{error} (among the rows that are new: {of})") from error
    if chosen.together:
        return divided, counts
    repeated = sum(map(len, chosen.copies.values())) - kept
    return divided, counts.model_copy(update={"kept": counts.kept + kept, "repeated": counts.repeated + repeated})


def _draw(chosen: Chosen, samples: Sequence[SourceSample], settings: IngestSettings, classes: bool) -> list[Splits]:
    """Splits of each arrival: positions among the rows that are new."""
    new = [samples[row] for row in chosen.drawn]
    if not new and chosen.again:
        return [{"train": [], "val": [], "test": []} for _ in settings.arrivals]
    shares = settings.val_share, settings.test_share, settings.shares
    return draw_splits(new, *shares, settings.seed, stratified=classes, rare=True)


def _check(
    divided: Sequence[Splits],
    samples: Sequence[SourceSample],
    settings: IngestSettings,
    before: Holdings,
    classes: bool,
) -> None:
    """Refuse what cannot be published, before any sample is decoded."""
    names = settings.arrivals
    check_usable(
        names[0],
        Holdings.of_rows(
            (split, samples[row].label) for some in divided for split, rows in some.items() for row in rows
        ),
        before,
        classes,
    )
    if empty := [name for name, some in zip(names, divided, strict=True) if not any(some.values())]:
        train = sum(len(some["train"]) for some in divided)
        raise InputError(
            f"{train:,} training rows are too few for {len(names)} arrivals: {empty[0]} would have none; publish fewer "
            "at once"
        )
