"""Meter data that is no table, as meters, market operators and portals hand it out -> RawTables."""

from fairmeter.data.formats.registry import READERS, default_map, detect

__all__ = ["READERS", "default_map", "detect"]
