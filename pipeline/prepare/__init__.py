"""Video files and their manifest become a prepared data set on disk.

In: rows of a manifest. Out: shards of JPEG frames, a report on each video, and what is wrong.
`prepared` opens what is there; `preparation` makes it, and redoes only what has changed.
"""
