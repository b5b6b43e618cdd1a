"""What the server can be asked, as an OpenAPI document, which programs and /docs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline import __version__

_Object = dict[str, Any]

_VIDEO: Final = {"schema": {"type": "string", "format": "binary"}}
_ERRORS: Final = {
    "400": "the request is not complete: several runs and none named, or a form with no file",
    "401": "the token is missing: Authorization: Bearer TOKEN",
    "404": "no such run, or no such file in the folder",
    "408": "the body came too slowly",
    "413": "the body has too many bytes",
    "415": "the body is no video by its type",
    "422": "the video cannot be decoded, is too long or too large, or a setting is wrong",
    "429": "too many requests wait; Retry-After says when to try again",
    "503": "its turn did not come in time, or the server has no room",
    "504": "it took too long",
}


def document(runs: Sequence[str]) -> _Object:
    """The OpenAPI 3.1 document of a server with runs of these names."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Clipline",
            "version": __version__,
            "description": "Says what videos show.",
        },
        "paths": {**_videos(runs), **_protocol(), **_others()},
        "components": {"schemas": _SCHEMAS, "securitySchemes": {"token": _TOKEN}},
        "security": [{"token": []}, {}],
    }


_TOKEN: Final = {"type": "http", "scheme": "bearer"}


def _videos(runs: Sequence[str]) -> _Object:
    run = _query("run", {"type": "string", "enum": list(runs)}, "Which run; needed of several.")
    name = _query("name", {"type": "string"}, "What the answer calls a video that has no name.")
    top = {"type": "integer", "minimum": 1, "default": 5}
    window = {"type": "number", "exclusiveMinimum": 0}
    overlap = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
    classify = [run, name, _query("top", top, "How many classes to list.")]
    timeline = [
        run,
        name,
        _query("window", window, "Seconds of a window, about."),
        _query("overlap", overlap, "Share that neighbouring windows have in common."),
    ]
    body = {
        "required": True,
        "content": {
            "video/*": _VIDEO,
            "application/octet-stream": _VIDEO,
            "multipart/form-data": {"schema": _object(video=_VIDEO["schema"])},
            "application/json": {"schema": _ref("Named")},
        },
    }
    return {
        "/v1/classify": {
            "post": _operation("What a video shows.", "Prediction", classify, body),
        },
        "/v1/timeline": {
            "post": _operation(
                "What happens in a video, from when to when.", "Timeline", timeline, body
            ),
        },
    }


def _protocol() -> _Object:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "/v2": {"get": _operation("The server.", "Any")},
        "/v2/health/live": {"get": _operation("Whether it lives.", "Any")},
        "/v2/health/ready": {"get": _operation("Whether it can answer.", "Any")},
        "/v2/models/{name}": {
            "get": _operation("The tensors that a run takes and gives.", "Any", [name]),
        },
        "/v2/models/{name}/ready": {
            "get": _operation("Whether a run can answer.", "Any", [name]),
        },
    }


def _others() -> _Object:
    metrics = _operation("Counters for Prometheus.", "Any")
    metrics["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "/v1/models": {"get": _operation("The runs that answer.", "Any")},
        "/metrics": {"get": metrics},
    }


def _operation(
    summary: str,
    answer: str,
    parameters: Sequence[Mapping[str, Any]] = (),
    body: Mapping[str, Any] | None = None,
) -> _Object:
    content = {"application/json": {"schema": _ref(answer)}}
    wrong = {"application/json": {"schema": _ref("Error")}}
    codes = _ERRORS if body else {"401": _ERRORS["401"]}
    return {
        "summary": summary,
        "parameters": list(parameters),
        **({"requestBody": body} if body else {}),
        "responses": {
            "200": {"description": "the answer", "content": content},
            **{code: {"description": text, "content": wrong} for code, text in codes.items()},
        },
    }


def _query(name: str, schema: Mapping[str, Any], text: str) -> _Object:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _ref(name: str) -> _Object:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Any) -> _Object:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(of: Any) -> _Object:
    return {"type": "array", "items": of}


_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_FLAG: Final = {"type": "boolean"}
_CLASS: Final = _object(label=_TEXT, probability=_NUMBER)
_SCHEMAS: Final = {
    "Any": {"type": "object"},
    "Error": _object(error=_TEXT),
    "Named": _object(path={**_TEXT, "description": "A file below the folder of the server."}),
    "Prediction": _object(
        path=_TEXT,
        label=_TEXT,
        known=_FLAG,
        holding=_list(_CLASS),
        probability=_NUMBER,
        max_logit=_NUMBER,
        top=_list(_CLASS),
        num_frames={"type": ["integer", "null"]},
        fps=_NUMBER,
        duration_seconds=_NUMBER,
        damaged=_FLAG,
    ),
    "Timeline": _object(
        path=_TEXT,
        duration_seconds=_NUMBER,
        damaged=_FLAG,
        window_seconds=_NUMBER,
        segments=_list(
            _object(
                start_seconds=_NUMBER,
                end_seconds=_NUMBER,
                label=_TEXT,
                probability=_NUMBER,
                max_logit=_NUMBER,
            )
        ),
    ),
}
