"""Sweeps: looking for the plan that suits an arrival. What is tried, what it may cost, which trial wins. No Ray here.

- :mod:`raygp.search.settings`: what a user can set.
- :mod:`raygp.search.space`: which settings of a plan may change.
- :mod:`raygp.search.algorithms`: what can draw points from the space (an open registry).
- :mod:`raygp.search.memory`: what earlier sweeps of the line teach.
- :mod:`raygp.search.cost`: what a sweep is expected to cost, and its budgets.
- :mod:`raygp.search.layout`: all of these together, before anything runs.
- :mod:`raygp.search.watch`: what is known while it runs.
- :mod:`raygp.search.choice`: the results of its trials, and the winner.
- :mod:`raygp.search.sweep`: a whole sweep, whoever runs its trials.
- :mod:`raygp.search.outcome`: what a sweep comes to, and what is kept of it.
"""
