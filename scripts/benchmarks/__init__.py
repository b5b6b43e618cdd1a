"""One module for each command of `scripts/benchmark.py`."""
