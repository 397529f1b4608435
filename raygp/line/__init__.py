"""A model line as one object: where it stands, and what can be done with it. No Ray, no printing.

Start reading at :class:`raygp.line.line.Line`.
"""

from raygp.line.adopting import Adoption
from raygp.line.approval import Approval, AwaitingVersion
from raygp.line.line import Line
from raygp.line.runner import Runner
from raygp.line.state import LineState, read_state
from raygp.line.unfinished import UnfinishedUpdate
from raygp.line.upkeep import Rollback
from raygp.line.version import Version
from raygp.line.withdrawal import Withdrawal

__all__ = [
    "Adoption",
    "Approval",
    "AwaitingVersion",
    "Line",
    "LineState",
    "Rollback",
    "Runner",
    "UnfinishedUpdate",
    "Version",
    "Withdrawal",
    "read_state",
]
