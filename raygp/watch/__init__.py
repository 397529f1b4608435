"""``raygp watch``: a line that is kept up to date by itself.

:class:`raygp.watch.loop.Watcher` looks at a line again and again, ingests what comes into a drop folder, and starts an
update when something waits and the settings allow it (:mod:`raygp.watch.policy`).
"""
