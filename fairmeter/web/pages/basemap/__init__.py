"""The ground of maps: land and borders, outlines of a utility's own, tiles of a map server."""

from fairmeter.web.pages.basemap.land import Land, land_around
from fairmeter.web.pages.basemap.tiles import (
    MAX_POINTS,
    MAX_TILES,
    Line,
    MapTile,
    map_tiles,
    parse_tile_address,
    read_outlines,
    visible_lines,
)

__all__ = [
    "MAX_POINTS",
    "MAX_TILES",
    "Land",
    "Line",
    "MapTile",
    "land_around",
    "map_tiles",
    "parse_tile_address",
    "read_outlines",
    "visible_lines",
]
