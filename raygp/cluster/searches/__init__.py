"""Search algorithms on Ray Tune, one a file (see :mod:`raygp.search.algorithms`)."""
