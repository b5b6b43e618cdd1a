"""Who may ask, without a network: messages of ASGI in, messages out."""

import asyncio
from urllib.parse import quote

import pytest
from starlette.responses import PlainTextResponse

from pipeline.errors import ConfigError
from pipeline.web.guard import Guard

OWN = "127.0.0.1:8000"


async def inside(scope, receive, send):
    await PlainTextResponse("inside")(scope, receive, send)


def ask(guard, path="/", *, method="GET", host=OWN, query="", **headers):
    """The status, headers and text that come back; of `headers`, _ stands for -."""
    sent, hosts = [], [host] if isinstance(host, str) else host
    pairs = [("host", each) for each in hosts]
    pairs += [(name.replace("_", "-"), value) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs],
    }

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope, None, send))
    start, *body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(each.get("body", b"") for each in body).decode()


@pytest.fixture
def guard():
    return Guard(inside, token="", loopback=True)


@pytest.fixture
def locked():
    return Guard(inside, token="s+cret/&", loopback=False, open_paths=("/v2/health/live",))


@pytest.mark.parametrize("host", [OWN, "localhost", "LOCALHOST:80", "[::1]:8000", "127.0.0.2"])
def test_this_machine_by_any_of_its_names(guard, host):
    status, headers, text = ask(guard, host=host)
    assert (status, text) == (200, "inside")
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8000", 421),
        ("10.0.0.1:8000", 421),
        ("0.0.0.0:8000", 421),
        ("127.0.0.1@evil.example", 400),
        ("127.0.0.1:8000/evil", 400),
        ("", 400),
        ([], 400),
        ([OWN, "evil.example"], 400),
        ("a" * 300, 400),
    ],
)
def test_other_hosts_are_not_answered(guard, host, status):
    assert ask(guard, host=host)[0] == status


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:9000",
        "http://localhost:8000",
        "null",
        "",
        "http://127.0.0.1:8000.evil.example",
        "http://evil.example/127.0.0.1:8000",
        "http://a@127.0.0.1:8000",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
def test_pages_of_other_sites_are_refused(guard, origin, method):
    assert ask(guard, method=method, origin=origin)[0] == 403


def test_own_pages_and_programs_pass(guard):
    assert ask(guard, method="POST", origin=f"http://{OWN}", sec_fetch_site="same-origin")[0] == 200
    assert ask(guard, method="POST")[0] == 200, "a program says no origin"


def test_a_link_may_be_followed_and_nothing_may_be_put_in_a_page(guard):
    """Of requests that say no origin, as those for pictures, scripts and frames do not."""
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert ask(guard, **link, sec_fetch_dest="document")[0] == 200
    assert ask(guard, **link, sec_fetch_dest="iframe")[0] == 403
    assert ask(guard, **link, sec_fetch_dest="document", method="POST")[0] == 403
    for site in ("cross-site", "same-site"):
        picture = {"sec_fetch_site": site, "sec_fetch_mode": "no-cors"}
        assert ask(guard, **picture, sec_fetch_dest="image")[0] == 403


def test_who_does_not_know_the_token_stays_outside(locked):
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Basic s+cret/&"},
        {"cookie": "clipline-8000=wrong"},
        {"cookie": "clipline-8000"},
        {"cookie": "clipline-9000=s+cret/&"},
        {"cookie": "\x00;=;"},
    ):
        status, answer, text = ask(locked, **headers)
        assert (status, answer["www-authenticate"]) == (401, "Bearer")
        assert "inside" not in text
    assert ask(locked, query="token=wrong")[0] == 401
    assert ask(locked, query="token=")[0] == 401
    assert ask(locked, "/v2/health/live")[0] == 200
    assert ask(locked, "/v2/health/live/")[0] == 401


def test_programs_are_told_in_json_what_people_read(locked, guard):
    for guarded, headers, status in ((locked, {}, 401), (guard, {"origin": "null"}, 403)):
        found, about, text = ask(guarded, **headers)
        assert (found, about["content-type"]) == (status, "application/json")
        assert text.startswith('{"error":"this ')
        found, about, text = ask(guarded, **headers, accept="text/html,*/*;q=0.8")
        assert (found, about["content-type"]) == (status, "text/plain; charset=utf-8")
        assert text.startswith("this ")


def test_a_token_opens(locked):
    assert ask(locked, authorization="Bearer s+cret/&")[0] == 200
    assert ask(locked, host="lab.example:8000", authorization="bearer s+cret/&")[0] == 200


def test_an_address_with_the_token_is_left_for_one_without(locked):
    status, headers, _ = ask(locked, "/label/a b", query=f"a=1&token={quote('s+cret/&')}&b=%26")
    assert (status, headers["location"]) == (303, "/label/a%20b?a=1&b=%26")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert ask(locked, cookie=cookie.partition("; ")[0])[0] == 200


def test_the_address_that_is_left_for_is_never_another_host(locked):
    for path in ("//evil.example", "/\\evil.example", "///evil.example"):
        _, headers, _ = ask(locked, path, query=f"token={quote('s+cret/&')}")
        assert headers["location"] == "/evil.example"


def test_a_token_in_an_address_does_nothing(locked):
    """Such an address may be in a page of another site."""
    assert ask(locked, method="POST", query=f"token={quote('s+cret/&')}")[0] == 401


@pytest.mark.parametrize("token", ["schlüssel", "two words", "two\nlines"])
def test_a_token_is_what_a_header_can_say(token):
    with pytest.raises(ConfigError, match="expected a token of letters, digits and signs"):
        Guard(inside, token=token, loopback=True)


def test_others_need_a_token():
    with pytest.raises(ConfigError, match="needs a token"):
        Guard(inside, token="", loopback=False)
