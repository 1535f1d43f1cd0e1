"""The page at `/`: static files that lie in `page/` of this package, under names that cannot leave it."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, Response

from fireact_ray.serving.errors import ApiError

FOLDER = Path(__file__).parent / "page"
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def add_page(app: FastAPI) -> None:
    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index() -> Response:
        return _file("index.html")

    @app.api_route("/page/{name}", methods=["GET", "HEAD"], include_in_schema=False)
    async def file(name: str) -> Response:
        return _file(name)


def _file(name: str) -> Response:
    """Raises ApiError (404) for a name that is no page's file; one with a separator is none."""
    path = FOLDER / name
    kind = _KINDS.get(path.suffix)
    if kind is None or path.parent != FOLDER or not path.is_file():
        raise ApiError(404, "There is no such file.")
    return FileResponse(path, media_type=kind, headers={"cache-control": "no-cache"})
