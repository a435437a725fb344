"""What the worker costs: a load, the measures, and what there is to compare with (docs/performance.md).

Run from a checkout, as modules: ``python -m bench.load --help``. Nothing here is part of the distribution.
"""
