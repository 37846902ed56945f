"""The base map in a real browser."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from fairmeter.web.http.auth import THIS_MACHINE
from fairmeter.web.pages.basemap import MAX_TILES
from fairmeter.web.pages.site import PageSettings
from tests.builders.desk import desk_app
from tests.builders.map import SQUARE, place_clients

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)


class Tiles(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(PIXEL)

    def log_message(self, *_):
        """Quiet."""


def test_a_browser_loads_the_tiles_without_an_error(store, desktop, front):
    place_clients(store)
    handler = type("Handler", (Tiles,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/{{z}}/{{x}}/{{y}}.png"
        settings = PageSettings(tiles=address, outlines=(tuple(map(tuple, SQUARE)),))
        with front.serving(desk_app(store, THIS_MACHINE, None, None, settings)):
            desktop.goto("/desk/map")
            desktop.page.wait_for_selector(".imagelayer image")
            n_drawn = desktop.page.locator(".imagelayer image").count()
        server.shutdown()
    assert 4 < n_drawn <= MAX_TILES
    assert len(set(handler.asked)) >= n_drawn
    assert not desktop.complaints
