"""Tries out a task on a few rows, stage by stage, in this process, and says what is wrong before cluster time is spent.

Start reading at :func:`raygp.check.run.check_task`.
"""

from raygp.check.rows import Row, made_up_rows, rows_of_line, rows_of_source
from raygp.check.run import check_task
from raygp.finding import Finding

__all__ = ["Finding", "Row", "check_task", "made_up_rows", "rows_of_line", "rows_of_source"]
