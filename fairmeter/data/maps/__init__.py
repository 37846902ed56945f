"""Maps: TOML files that state what a utility's columns mean -> canonical tables."""

from fairmeter.data.maps.format_maps import map_of_files
from fairmeter.data.maps.map_file import find_map, parse_map, read_map, shipped_maps
from fairmeter.data.maps.spec import DataMap
from fairmeter.data.maps.toml_text import MapError

__all__ = ["DataMap", "MapError", "find_map", "map_of_files", "parse_map", "read_map", "shipped_maps"]
