"""Which videos there are, of which class and group, and in which split.

In: what a source says of its videos. Out: rows, each in a split that no group crosses.
Knows no video file and no array.
"""
