"""Which things are passed over for their names: one list for every source."""

from __future__ import annotations

from raygp.data.sources.formats import suffixes

HIDDEN = "hidden files and folders"
UNDERSCORE = "files and folders whose names begin with _"
SYSTEM = "files of the operating system"
PARTIAL = "partial downloads and temporary files"

SYSTEM_NAMES = frozenset(
    {
        "__macosx", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "$recycle.bin",
        "system volume information", "lost+found", "@eadir", "#recycle", "@recycle",
    }
)  # fmt: skip
"""In lower case. What begins with ``._`` is theirs, too."""
PARTIAL_ENDS = (
    ".crdownload", ".part", ".partial", ".filepart", ".download", ".opdownload", ".aria2", ".!ut", ".tmp", ".temp", "~",
)  # fmt: skip
"""How their names end, in lower case. What begins with ``~$`` is one, too."""
_SAMPLES = suffixes("image") + suffixes("audio")


def skipped(name: str) -> str | None:
    """What kind of thing a name tells to be no data, in the plural, for :meth:`PassedOver.add`; None if it may be some.

    Hidden files, what Spark, Jupyter and operating systems leave behind, downloads that are not done. The rule is for
    one name: a source asks it of each folder on the way and of the file. Cameras call pictures ``_MG_1234.JPG``, so
    what ends as samples do may begin with an underscore.
    """
    lower = name.lower()
    if lower in SYSTEM_NAMES or lower.startswith("._"):
        return SYSTEM
    if name.startswith("."):
        return HIDDEN
    if lower.endswith(PARTIAL_ENDS) or name.startswith("~$"):
        return PARTIAL
    if name.startswith("_") and not lower.endswith(_SAMPLES):
        return UNDERSCORE
    return None
