"""What can be asked of an application, as its own routes say."""

import re


def asked_of(routes):
    """Each method and path of routes, of which "x" stands for what varies."""
    for route in routes:
        path = re.sub(r"\{\w+\}", "x", route.path_format)
        yield from ((method, path) for method in sorted(getattr(route, "methods", ["GET"])))
