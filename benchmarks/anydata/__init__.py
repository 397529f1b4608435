"""Data sets x kinds of arrival x methods, with one default for all: see ``benchmarks/any_data.py``."""
