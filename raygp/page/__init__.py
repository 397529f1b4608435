"""``raygp report``: what happened to a line, as plain data and as one page that needs nothing else."""

from raygp.page.story import Story

__all__ = ["Story"]
