"""Events that people marked in long recordings with other tools, read into one structure.

`reading` tells the format of a file by its content and calls the module of that format, which
knows text alone. `media` finds the videos and prepares events for training, and `report` says what
was found.
"""
