"""Labelling in the browser: what happens from when to when in recordings, and what clips show.

`table` keeps the labels, `recordings` gives frames, `routes` answers the page.
"""
