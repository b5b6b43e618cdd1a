"""Where labelled videos come from, a module for each.

In: the path and the options of `prepare`. Out: a manifest, a row for each video.
`reading` chooses the source; `demo` renders its videos before it lists them.
"""
