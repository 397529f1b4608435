"""A version that answers: its model as a plain module, and answers to encoded samples. No Ray, nothing is trained."""

from raygp.inference.loading import load_model
from raygp.inference.predictor import Predictor, Sample

__all__ = ["Predictor", "Sample", "load_model"]
