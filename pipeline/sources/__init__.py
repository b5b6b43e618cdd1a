"""Sources of labelled videos, a module for each.

In: the path and the options of `prepare`. Out: a manifest, a row for each video.
`reading` chooses the source among its `SOURCES`; `demo` renders its videos before it lists them.

The `scan_NAME` of a public data set returns the videos that its official lists name, there or not,
sorted by path and time, with their splits. A `DataError` says that the lists or all videos are
missing, or a list is not as expected; a `ConfigError`, that there is no such fold.
"""
