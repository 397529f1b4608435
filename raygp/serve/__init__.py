"""The answering side of ``raygp serve``: requests, limits, the protocol, and following the head of a line.

Plain Python, without Ray: :mod:`raygp.cluster.serving` puts it on Ray Serve.
"""
