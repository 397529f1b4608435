"""Looks at what raygp needs of a machine, of storage and of a line, and says what is wrong and what to do about it.

Nothing of it loads torch or Ray, and nothing changes the line. Start reading at :func:`raygp.doctor.run.examine`.
"""

from raygp.doctor.host import Host
from raygp.doctor.run import examine

__all__ = ["Host", "examine"]
