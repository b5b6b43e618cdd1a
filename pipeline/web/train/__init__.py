"""Training in the browser: `plan` makes commands of what was chosen, `runner` runs them.

A training is a process of its own: it goes on when the server ends, and the page finds it again.
"""
