"""Random search: every point is drawn by itself; the points of a grid come in turn."""

from __future__ import annotations

from typing import Any

from ray.tune.search.basic_variant import BasicVariantGenerator

from raygp.search.algorithms import SearchRequest


class RandomSearch:
    """Tune's own variant generator, seeded. See :class:`raygp.search.algorithms.SearchAlgorithm`."""

    learns = False

    def make(self, request: SearchRequest) -> Any:
        """The generator."""
        return BasicVariantGenerator(
            points_to_evaluate=list(request.points), max_concurrent=request.concurrent, random_state=request.seed
        )


RANDOM = RandomSearch()
