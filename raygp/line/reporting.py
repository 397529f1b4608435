"""What happened to a line, as plain data and as a page."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raygp.events import Listener
    from raygp.page import Story
    from raygp.store import Location
    from raygp.tasks import Task


def report(
    location: Location,
    make_task: Callable[[], Task],
    tell: Listener,
    out: str | os.PathLike[str] | None = None,
    examples: bool = True,
) -> Story:
    """The line's story; where ``out`` names a file, it is written there, too, as one page of HTML that needs nothing
    else.

    Args:
        location: root of the line, which is only read.
        make_task: gives the line's task. What models show is left out where it cannot.
        tell: told of what takes time.
        out: the file; one that an earlier call wrote is replaced.
        examples: answer held-out rows with the head and its parent, to show where they differ (some seconds).

    Raises:
        InputError: the file is there and is no such page, or a package is missing (``pip install 'raygp[report]'``).
    """
    from raygp.page.facts import read_facts
    from raygp.page.telling import tell_story
    from raygp.page.writing import check_free, write_page

    if out is not None:
        check_free(out)
    told = tell_story(read_facts(location), make_task, tell, examples)
    return told if out is None else write_page(told, out)
