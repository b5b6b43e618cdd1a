"""Video files and their manifest become a prepared data set on disk.

In: rows of a manifest. Out: a data set: its manifest, its frames, and what is wrong.
`prepared` opens what is there; `preparation` makes it, and redoes only what has changed.
"""
