"""Pages for people and answers for programs, over HTTP, in a process without TensorFlow.

`server` listens and `guard` lets in; both are the same for the pages and for programs.
"""
