"""The command line: parsing and printing, the only place that knows the terminal.

In: words of a command line. Out: one call of the package, and its result as text.
"""
