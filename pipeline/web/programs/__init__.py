"""The server for programs: videos in, answers out; the Open Inference Protocol; metrics.

A request goes this way: `uploads` or `folder` make it a file, `queue` lets it wait for its turn and
for a decoder, `models` answers, and `application` says so, or what was wrong.
"""
