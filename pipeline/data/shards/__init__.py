"""Shards of a prepared data set: what goes into them, writing them, and where that runs."""
