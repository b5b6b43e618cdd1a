"""Work on video files in processes of their own.

In: a function and a list of tasks. Out: what it returned for each, in order.
A file at which a decoder crashes or hangs costs that file, not the work.
"""
