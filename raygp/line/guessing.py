"""Which source is meant by a form or a path, where the line's task may decide."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from raygp.errors import InputError
from raygp.events import Listener, Notice

if TYPE_CHECKING:
    from raygp.data.sources import Source
    from raygp.tasks.own import TaskCode


def open_named(
    source: str,
    task: dict[str, Any] | None,
    of_line: Callable[[], dict[str, Any]],
    code: TaskCode | None,
    tell: Listener,
) -> Source:
    """The source that a form or a path names.

    Args:
        source: such as ``imagefolder:week2``, or ``week2/`` alone.
        task: what was said of the task; None: nothing.
        of_line: gives the line's, where it is needed.
        code: of a task of one's own.
        tell: told how a path is read.

    Raises:
        InputError: it cannot be opened, or might be of several kinds.
    """
    from raygp.data.sources import guess_source, is_form, open_source
    from raygp.data.sources.kind import medium_of
    from raygp.tasks import make_task

    if is_form(source):
        return open_source(source)
    medium, wrong = None, None
    try:
        # Options without a name are of the line's task.
        medium = medium_of(make_task(task if task and "name" in task else of_line(), code))
    except InputError as error:
        wrong = error
    try:
        guessed = guess_source(source, medium)
    except InputError:
        # Of a path that might be several kinds, the task decides.
        if wrong is not None and task and "name" in task and os.path.exists(source):
            raise wrong from None
        raise
    tell(Notice(text=f"{source} is read as {guessed}"))
    return open_source(guessed)
