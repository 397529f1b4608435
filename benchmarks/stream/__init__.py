"""Classes that arrive two at a time: the stream, and the methods that learn from it (``benchmarks/continual.py``)."""
