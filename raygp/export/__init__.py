"""A version as files that run without raygp: the model, what it expects and answers, a model card, a program that uses
it. Importing this package loads no torch.

Start reading at :func:`raygp.export.exporting.export_version`. A new format is one file with a
:class:`raygp.export.formats.ModelFormat`, and one line: in :data:`FORMATS`, or as an entry point of the group
``raygp.export_formats`` in a package of its own.
"""

from raygp.export.exporting import export_version
from raygp.export.formats import FORMATS, ModelFormat
from raygp.export.request import Exported, ExportRequest

__all__ = ["FORMATS", "ExportRequest", "Exported", "ModelFormat", "export_version"]
