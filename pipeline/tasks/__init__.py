"""Tasks: what is asked of a video, a class for each kind of question.

In: labels, and the logits of a network. Out: targets and a loss to train with, probabilities,
answers. `task` says what every task can do; `calibration` keeps what was fitted for one.
"""
