"""raygp keeps a sparse neural network up to date while labelled data keep arriving."""

__version__ = "0.1.0"
