"""Clusters and servers that tests and benchmarks start, crash and cut off. Nothing in ``raygp`` uses it.

``heads``: a Ray cluster of its own, whose nodes join and are killed. ``hosts``: several hosts made of this machine.
``servers``: S3 servers. ``fault_proxy``: a bad network in front of a server. ``commands``: a ``raygp`` command with a
cluster of its own, any part of which can be killed. ``crashes``: an update that is killed, again and again.
``line``: updates in this process, printed as the command line prints them.
"""
