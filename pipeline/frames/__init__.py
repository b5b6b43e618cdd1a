"""The pixels of videos, once each: decoded, made small, stored in chunks, and found again.

What is said of videos, their labels, groups, splits and events, is in `pipeline.manifest`.
"""
