"""A resource that only parses the JSON, on bare `twisted.web`."""

from __future__ import annotations

import json

from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from benchmarks.servers.twisted_reactor import serve


class Events(Resource):
    """Answers 202 to each POST."""

    isLeaf = True

    def render_POST(self, request: Request) -> bytes:
        """Parse the body."""
        assert request.content is not None
        json.loads(request.content.read())
        request.setResponseCode(202)
        request.setHeader(b"content-type", b"application/json")
        return b'{"accepted":1}'


class QuietSite(Site):
    """Keeps no access log."""

    def log(self, request: HTTPRequest) -> None:
        """Leave it."""


def main() -> None:
    """Serve on a free port."""
    serve(QuietSite(Events()))


if __name__ == "__main__":
    main()
