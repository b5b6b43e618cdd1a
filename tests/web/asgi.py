"""Applications without a network: messages of ASGI in, messages out, and what can be asked."""

import asyncio
import re


def asked_of(routes):
    """Each method and path of routes, of which "x" stands for what varies."""
    for route in routes:
        path = re.sub(r"\{\w+\}", "x", route.path_format)
        yield from ((method, path) for method in sorted(getattr(route, "methods", ["GET"])))


def receiver(*pieces):
    """Gives the messages of a body that comes in pieces."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    return receive


def scope_of(path="/", *, method="GET", query="", headers=()):
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }


def ask(app, path="/", *, body=b"", **options):
    """The status, headers and text that come back; for the options see `scope_of`."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope_of(path, **options), receiver(body), send))
    start, *parts = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(each.get("body", b"") for each in parts).decode()
