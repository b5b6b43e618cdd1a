"""What is typed and what is printed: the only place that knows the terminal.

In: words of a command line. Out: one call of the package, and its result as text.
"""
