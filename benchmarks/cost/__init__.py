"""What it costs to reach an accuracy: workloads, methods, runs and tables of ``training_cost.py`` and its relatives."""
