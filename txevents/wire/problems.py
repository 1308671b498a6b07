"""Problem details (RFC 9457): why a message was refused, in words for its sender."""

from __future__ import annotations

from typing import Any

import msgspec

from txevents.errors import TxEventsError

MEDIA_TYPE = b"application/problem+json"

# The phrases of RFC 9110 and 6585; those of `http.HTTPStatus` change between Python versions.
TITLES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    422: "Unprocessable Content",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_encode = msgspec.json.Encoder().encode


class Refusal(TxEventsError, ValueError):
    """A message is refused: `status` as in HTTP, and `detail`, which names the field and the rule.

    `headers` are further fields of an HTTP answer, such as `Allow`. Nothing of the message's
    secrets belongs into `detail`: it is sent to whoever sent the message.
    """

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def title(self) -> str:
        """The phrase of the status."""
        return TITLES[self.status]

    def members(self) -> dict[str, Any]:
        """Return the members of the problem; `type` is left out, which means `about:blank`."""
        return {"status": self.status, "title": self.title, "detail": self.detail}

    def document(self) -> bytes:
        """Return the `application/problem+json` document."""
        return _encode({"type": "about:blank", **self.members()})


def quote(value: object, limit: int = 80) -> str:
    """Return what a sender sent in a form that is safe in a `detail` and in a log, and short."""
    return shorten(ascii(value), limit)


def escape(text: str) -> str:
    """Return `text` in printable ASCII, with backslashes for all else."""
    return text.encode("unicode_escape").decode()


def shorten(text: str, limit: int = 80) -> str:
    """Return `text`, or its beginning when it is longer than `limit`."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
