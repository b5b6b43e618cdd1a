"""Rendered videos of figures, each doing one action, and recordings of many: the demo.

Body and actions say how a figure moves; drawing, clothes, place and scene how that looks; script
what happens in a recording; render which videos there are.
"""
