"""A dense model that somebody trained becomes the first version of a line.

:mod:`raygp.adopt.checkpoint` reads the file, :mod:`raygp.adopt.matching` finds the model's tensors in it,
:mod:`raygp.adopt.vocabulary` says which output is which class, and :mod:`raygp.adopt.making` puts the model together
and measures it. Nothing is written here: see :mod:`raygp.line.adopting`.
"""
