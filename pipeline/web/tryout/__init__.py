"""Trying a run in the browser: on files that are dropped, and on a webcam."""
