"""A file of any layout -> raw tables: encodings, delimiters, headers, spreadsheets, JSON, Parquet."""

from fairmeter.data.layouts.raw_table import CodedColumn, Layout, RawTable

__all__ = ["CodedColumn", "Layout", "RawTable"]
