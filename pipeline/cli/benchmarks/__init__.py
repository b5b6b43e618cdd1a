"""One module for each command of `clipline benchmark`."""
