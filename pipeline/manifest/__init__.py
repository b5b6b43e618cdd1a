"""The list of videos, with the class, group and split of each.

In: what a source says of its videos. Out: rows, each in a split that no group crosses.
Knows no video file and no array.
"""
