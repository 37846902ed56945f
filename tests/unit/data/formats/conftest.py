"""Files of a format, and what its reader makes of them."""

import pytest

from fairmeter.data.files import TableError, TableFile
from fairmeter.data.formats import READERS, detect


@pytest.fixture
def source():
    """A TableFile of a text or of bytes, as if it lay in a folder."""
    import io

    def made(content, name="meter.txt"):
        data = content.encode() if isinstance(content, str) else content
        return TableFile(name, f"folder/{name}", lambda: io.BytesIO(data), len(data))

    return made


@pytest.fixture
def rows(source):
    """All rows of a file as dictionaries, by the reader that its first bytes ask for; with `line` and `notes`."""

    def read(content, name="meter.txt", reader=None):
        file, found = source(content, name), []
        for table in READERS[reader or detect(file)](file):
            columns = {column: table.column(column) for column in table.header}
            for row in range(table.n_rows):
                values = {column: coded.values[coded.codes[row]] for column, coded in columns.items()}
                found.append({**values, "line": table.line(row), "notes": table.notes})
        return found

    return read


@pytest.fixture
def is_read_or_refused(rows):
    """Whether a damaged file is refused by one sentence, or gives rows; any other exception fails the test."""

    def judged(content, reader, name="meter.txt"):
        try:
            return len(rows(content, name, reader)) > 0
        except TableError as error:
            words = str(error)
        return words.startswith("folder/") and words.endswith(".") and "\n" not in words

    return judged
