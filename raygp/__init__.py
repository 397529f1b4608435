"""raygp keeps a sparse neural network up to date while labelled data keep arriving.

Start with :func:`raygp.open`, which gives a :class:`raygp.line.Line`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raygp.line import Line

__all__ = ["__version__", "open"]
__version__ = "0.2.0.dev0"


def open(
    root: str,
    *,
    single_writer: bool = False,
    task: str | os.PathLike[str] | None = None,
    task_changed: bool = False,
) -> Line:
    """The model line at ``root``; see :class:`raygp.line.Line`. Reads nothing yet, and there need not be a line.

    Args:
        root: a path, ``s3://bucket/prefix`` or another fsspec URL.
        single_writer: nothing else ever updates this line, so that its storage need not keep two updaters apart.
        task: code of a task of your own: ``my_task.py``, ``my_task.py:Class`` or ``package.module:Class``. None: a line
            that has one finds the file in the current folder.
        task_changed: that this code is another one than the line was made with is meant so.

    Raises:
        raygp.errors.InputError: the root's protocol is unknown, or needs a package that is not installed; or the task's
            file cannot be read.
    """
    from raygp.line import Line

    return Line(root, single_writer=single_writer, task=task, task_changed=task_changed)
