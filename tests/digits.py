"""A few hundred of scikit-learn's real handwritten digits, as a source."""

from __future__ import annotations

from collections.abc import Iterator

from raygp.data.sources import open_source
from raygp.data.sources.source import SourceSample


class FewDigits:
    """Digits ``start`` to ``stop`` of the bundled 1,797, at 28 x 28."""

    def __init__(self, start: int, stop: int, classes: str = "0123456789") -> None:
        self.name = f"digits {start} to {stop}"
        self._samples = list(open_source("digits", image_size=28).samples())[start:stop]
        self._wanted = set(classes)

    def samples(self) -> Iterator[SourceSample]:
        return (sample for sample in self._samples if sample.label in self._wanted)
