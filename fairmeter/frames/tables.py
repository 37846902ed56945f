"""Data frames -> tables that are read like files.

In:  a table of pandas, Polars or Arrow, or any object with the Arrow PyCapsule interface (`__arrow_c_stream__`).
Out: a TableFile whose content is the table, so that frames and Parquet files take one path.
"""

import io
from typing import Any

from fairmeter.data.files import DamagedFile, TableFile

TABLES = ("clients", "invoices", "readings")


def table_files(**frames: Any) -> dict[str, TableFile | None]:
    """A TableFile for each frame, by its name; None where no frame is given. Raises DamagedFile."""
    return {name: None if frame is None else frame_file(frame, name) for name, frame in frames.items()}


def frame_file(frame: Any, name: str) -> TableFile:
    """The table as a Parquet file in memory. [name: "clients", "invoices" or "readings"] Raises DamagedFile."""
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(_arrow_table(frame, name), buffer)
    content = buffer.getvalue()
    return TableFile(f"{name}.parquet", f"the table {name}", lambda: io.BytesIO(content), len(content))


def _arrow_table(frame: Any, name: str):
    import pyarrow as pa

    try:
        # pandas would add its index as a column.
        if hasattr(frame, "iloc"):
            return pa.Table.from_pandas(frame, preserve_index=False)
        return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DamagedFile(
            f"{name} is no table ({type(frame).__name__}: {reason}); give one of pandas, Polars or Arrow, "
            "with values of one type in each column."
        ) from error
