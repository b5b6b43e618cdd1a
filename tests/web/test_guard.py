"""Who may ask, without a network."""

from functools import partial
from urllib.parse import quote

import pytest
from starlette.responses import PlainTextResponse

from pipeline.errors import ConfigError
from pipeline.web.guard import Guard
from tests.web import asgi

OWN = "127.0.0.1:8000"
SECRET = "s+cret/&"  # noqa: S105


async def inside(scope, receive, send):
    await PlainTextResponse("inside")(scope, receive, send)


def ask(guard, path="/", *, method="GET", host=OWN, query="", **headers):
    """The status, headers and text that come back; of `headers`, _ stands for -."""
    pairs = [("host", each) for each in ([host] if isinstance(host, str) else host)]
    pairs += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return asgi.ask(guard, path, method=method, query=query, headers=pairs)


guarded = partial(ask, Guard(inside, token="", loopback=True))
"""Asks what answers this machine alone."""

locked = partial(ask, Guard(inside, token=SECRET, loopback=False, open_paths=("/v2/health/live",)))
"""Asks what wants a token."""


def test_this_machine_by_any_of_its_names_and_no_other_host():
    for host in (OWN, "localhost", "LOCALHOST:80", "[::1]:8000", "127.0.0.2"):
        status, headers, text = guarded(host=host)
        assert (status, text) == (200, "inside")
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    others = (
        "evil.example evil.example:8000 127.0.0.1.evil.example localhost.evil.example:8000 "
        "10.0.0.1:8000 0.0.0.0:8000"
    )
    for host in others.split():
        assert guarded(host=host)[0] == 421, host
    none = ("127.0.0.1@evil.example", "127.0.0.1:8000/evil", "", "a" * 300)
    for host in (*none, [], [OWN, "evil.example"]):
        assert guarded(host=host)[0] == 400, host


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
def test_pages_of_other_sites_are_refused_but_a_link_may_be_followed(method):
    others = (
        "http://evil.example http://127.0.0.1:9000 http://localhost:8000 null "
        "http://127.0.0.1:8000.evil.example http://evil.example/127.0.0.1:8000 "
        "http://a@127.0.0.1:8000"
    )
    for origin in (*others.split(), ""):
        assert guarded(method=method, origin=origin)[0] == 403, origin
    assert guarded(method=method, origin=f"http://{OWN}", sec_fetch_site="same-origin")[0] == 200
    assert guarded(method=method)[0] == 200, "a program says no origin"
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert guarded(**link, sec_fetch_dest="document")[0] == 200
    assert guarded(**link, sec_fetch_dest="iframe")[0] == 403
    assert guarded(**link, sec_fetch_dest="document", method="POST")[0] == 403
    for site in ("cross-site", "same-site"):
        picture = {"sec_fetch_site": site, "sec_fetch_mode": "no-cors"}
        assert guarded(**picture, sec_fetch_dest="image")[0] == 403


def test_who_does_not_know_the_token_stays_outside():
    for headers in (
        {},
        *({"authorization": each} for each in ("Bearer wrong", "Bearer ", f"Basic {SECRET}")),
        *({"cookie": f"clipline-{each}"} for each in ("8000=wrong", "8000", f"9000={SECRET}")),
        {"cookie": "\x00;=;"},
    ):
        status, answer, text = locked(**headers)
        assert (status, answer["www-authenticate"]) == (401, "Bearer")
        assert "inside" not in text
    assert locked(query="token=wrong")[0] == 401
    assert locked(query="token=")[0] == 401
    # Such an address may be in a page of another site.
    assert locked(method="POST", query=f"token={quote(SECRET)}")[0] == 401
    assert locked("/v2/health/live")[0] == 200
    assert locked("/v2/health/live/")[0] == 401


def test_programs_are_told_in_json_what_people_read():
    for asked, headers, status in ((locked, {}, 401), (guarded, {"origin": "null"}, 403)):
        for accept, kind, begin in (
            ("*/*", "application/json", '{"error":"this '),
            ("text/html,*/*;q=0.8", "text/plain; charset=utf-8", "this "),
        ):
            found, about, text = asked(**headers, accept=accept)
            assert (found, about["content-type"]) == (status, kind)
            assert text.startswith(begin)


def test_a_token_opens_and_an_address_with_it_is_left_for_one_without():
    assert locked(authorization=f"Bearer {SECRET}")[0] == 200
    assert locked(host="lab.example:8000", authorization=f"bearer {SECRET}")[0] == 200
    status, headers, _ = locked("/label/a b", query=f"a=1&token={quote(SECRET)}&b=%26")
    assert (status, headers["location"]) == (303, "/label/a%20b?a=1&b=%26")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert locked(cookie=cookie.partition("; ")[0])[0] == 200
    for path in ("//evil.example", "/\\evil.example", "///evil.example"):  # never another host
        _, headers, _ = locked(path, query=f"token={quote(SECRET)}")
        assert headers["location"] == "/evil.example"


def test_a_token_is_what_a_header_can_say_and_others_need_one():
    for token in ("schlüssel", "two words", "two\nlines"):
        with pytest.raises(ConfigError, match="expected a token of letters, digits and signs"):
            Guard(inside, token=token, loopback=True)
    with pytest.raises(ConfigError, match="needs a token"):
        Guard(inside, token="", loopback=False)
