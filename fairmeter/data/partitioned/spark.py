"""A client base on a cluster: parts.py's steps on Apache Spark. The only room that imports pyspark.

In:  the master's address, TableFiles, and a work: a part's Tables -> an Arrow table.
Out: what the work made of every part, each computed once; the rows of some clients.

Files are read where the executors are, one task a file, by the very code that reads them elsewhere; every machine must
find them under the same path. The shuffle brings each part's rows together, as whole Arrow tables: a task that is lost
with its executor is done again and gives the same bytes.
"""

import io
import re
import socket
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import numpy as np

from fairmeter.core.paths import PROJECT
from fairmeter.data.date_swaps import EXPORT_DATE
from fairmeter.data.files import Column, TableError
from fairmeter.data.partitioned.partitions import (
    PART_KEY,
    ROW,
    TableFiles,
    client_rows,
    describe_files,
    filter_clients,
    invoice_rows,
    partition_tables,
    require_rows,
)
from fairmeter.data.tables import CLIENT_FIELDS, INVOICE_FIELDS, Tables

PACKAGED = ("fairmeter/**/*.py",)  # what executors import of us
START_SECONDS = 60  # seconds for a master to answer and an executor to come
CONNECT_SECONDS = 10  # seconds for a connection
# Of files, in one part: some 200,000 invoices, which take a Python worker 0.2 GB beside what it has anyway.
PART_BYTES = 16 * 2**20
PARQUET_RATIO = 4  # times smaller than the same rows as CSV
PART = "part"
SETTINGS = {
    # Parts are as many as there are to be: coalescing them by their bytes would leave cores without work.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
}
# Of the Java that is started here (spark-submit has started its own by then, as its own options say). With Spark's 1 GB
# the features of 100,000 clients do not come through, and a thread that runs out of memory would leave the job hanging.
DRIVER = {"spark.driver.memory": "4g", "spark.driver.extraJavaOptions": "-XX:+ExitOnOutOfMemoryError"}
MASTER = re.compile(r"local(\[|$)|local-cluster\[|spark://|yarn$|k8s://")
EXCEPTION = re.compile(r"[\w.]+(?:Error|Exception): ")
TABLE_ERROR = re.compile(r"^fairmeter\.data\.(?:\w+\.)*\w+: (.+)$", re.MULTILINE)

Work = Callable[[Tables, np.ndarray], object]  # (tables, row numbers of the clients) -> an Arrow table
OnProgress = Callable[[str, int, int | None], None]


class SparkError(Exception):
    """Spark cannot be used; one sentence: what is wrong, what to do."""


# --- a session --------------------------------------------------------------------------------------------------------


@contextmanager
def spark_jobs(master: str) -> Iterator["SparkJobs"]:
    """A session that is stopped in the end; one that is running already (a notebook's) is used and left. SparkError."""
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise SparkError("pyspark is not installed: `make install`, or pipenv sync --categories spark.") from None
    there = SparkSession.getActiveSession()
    spark = there or _started(SparkSession.builder, master)
    try:
        with _spark_errors():
            _add_package(spark.sparkContext)
            for name, value in SETTINGS.items():
                spark.conf.set(name, value)
        yield SparkJobs(spark)
    finally:
        if there is None:
            with suppress(Exception):  # a session whose cluster is gone has nothing left to stop
                spark.stop()


def _started(builder, master: str):
    """Raises SparkError where the master, or any executor, does not answer in time."""
    from pyspark.errors import PySparkException

    check_master(master)
    try:
        builder = builder.master(master).appName("fairmeter").config("spark.ui.showConsoleProgress", "false")
        for name, value in DRIVER.items():
            builder = builder.config(name, value)
        with _without_pandas_warnings():
            spark = builder.getOrCreate()
    except PySparkException as error:  # no Java, or one that is too old, ends before it has said its port
        java = "Java 17 or newer (apt install openjdk-17-jre-headless, or set JAVA_HOME)"
        raise SparkError(f"Spark did not start: it needs {java}. Above is what it said itself.") from error
    except Exception as error:  # py4j's, of what Java raised: a bad address, a master that refuses
        raise SparkError(f"Spark did not start with the master {master} ({_cause(error)}).") from error
    spark.sparkContext.setLogLevel("ERROR")
    _wait_for_executors(spark, master)
    return spark


def check_master(master: str) -> None:
    """Raises SparkError for what is none, or does not answer: Spark itself would try for minutes, and say otherwise."""
    if not MASTER.match(master):
        raise SparkError(f"{master!r} is no master; write local[*], spark://HOST:7077, yarn or k8s://HOST:443.")
    if not master.startswith("spark://"):
        return
    tried = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        except (OSError, ValueError, OverflowError) as error:
            tried.append(f"{address}: {getattr(error, 'strerror', None) or error}")
        else:
            return
    raise SparkError(f"The master {master} does not answer ({'; '.join(tried)}): start it, or correct its address.")


def _wait_for_executors(spark, master: str) -> None:
    if master.startswith("local") and not master.startswith("local-cluster"):
        return
    for _ in range(START_SECONDS * 10):
        if spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() > 1:  # the driver is one
            return
        time.sleep(0.1)
    spark.stop()
    raise SparkError(
        f"The master {master} gave no executor within {START_SECONDS} seconds: start workers, or free some."
    )


def _cause(error: BaseException) -> str:
    """The line that says what went wrong, of many that say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return next((line for line in reversed(lines) if EXCEPTION.match(line)), lines[0])[:200].rstrip(".")


def _add_package(context) -> None:
    """Gives executors our own modules, so that they need nothing but the libraries."""
    path = package_archive()[0]
    if not any(file.endswith(path.name) for file in context.listFiles):  # a session may be used again
        context.addPyFile(str(path))


@cache
def package_archive() -> tuple[Path, TemporaryDirectory]:
    """A zip of our modules; it stays as long as this process, since executors that come later ask for it."""
    folder = TemporaryDirectory()
    path = Path(folder.name) / "fairmeter.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in PACKAGED:
            for file in sorted(PROJECT.glob(pattern)):
                archive.write(file, file.relative_to(PROJECT))
    return path, folder


# --- jobs -------------------------------------------------------------------------------------------------------------


class SparkJobs:
    """Jobs of a session."""

    def __init__(self, spark) -> None:
        self._spark = spark

    def map_partitions(self, pieces: TableFiles, work: Work, tell: OnProgress) -> Iterator:
        """The Arrow table that the work makes of every part, in any order. Raises TableError, SparkError."""
        from pyspark import StorageLevel

        with _spark_errors():
            n_parts = self._n_parts(pieces)
            self._spark.conf.set("spark.sql.shuffle.partitions", str(n_parts))
            shared, place = self._spark.sparkContext.broadcast(work), describe_files(pieces.clients)

        def done(clients, invoices):
            import pyarrow as pa

            tables, rows = partition_tables(clients, invoices, place)
            told = {
                "made": [_to_bytes(shared.value(tables, rows))],
                "n_clients": [len(rows)],
                "n_invoices": [invoices.num_rows],
            }
            return pa.table(told)

        made = None
        try:
            with _spark_errors(), self._told(tell):
                clients, invoices = (frame.groupBy(PART) for frame in self._frames(pieces, n_parts))
                made = clients.cogroup(invoices).applyInArrow(done, "made binary, n_clients bigint, n_invoices bigint")
                # Kept, so that parts are computed all at once and handed over one by one; each is a few bytes a client.
                made = made.persist(StorageLevel.DISK_ONLY)
                [n_rows] = made.groupBy().sum("n_clients", "n_invoices").collect()
            for n, sources in zip(n_rows, (pieces.clients, pieces.invoices), strict=True):
                require_rows(describe_files(sources), n or 0)
            with _spark_errors():
                rows = made.select("made").toLocalIterator()
            while row := _next(rows):
                yield _from_bytes(row.made)
        finally:
            with suppress(Exception):
                made.unpersist()
                shared.destroy()

    def collect_clients(self, pieces: TableFiles, client_ids: list[str]) -> tuple[Tables, np.ndarray]:
        """The Tables of these clients alone, and their row numbers. Raises TableError, SparkError."""
        with _spark_errors():
            wanted = self._spark.sparkContext.broadcast(client_ids)
            clients, invoices = (frame.toArrow() for frame in self._frames(pieces, 1, wanted))
        return partition_tables(clients, invoices, describe_files(pieces.clients))

    def _n_parts(self, pieces: TableFiles) -> int:
        packed = sum(source.n_bytes * (PARQUET_RATIO if source.is_parquet else 1) for source in pieces.invoices)
        return max(2 * self._spark.sparkContext.defaultParallelism, -(-packed // PART_BYTES))

    def _frames(self, pieces: TableFiles, n_parts: int, wanted=None) -> tuple:
        """Clients and invoices as data frames with the number of their part. [wanted: a broadcast of ids]"""
        columns = pieces.columns

        def read_clients(numbers: Iterator) -> Iterator:
            for batch in numbers:
                for number in batch["id"].to_pylist():
                    for table in client_rows(pieces.clients[number], number, columns):
                        yield from _numbered(table, n_parts, wanted).to_batches()

        def read_invoices(numbers: Iterator) -> Iterator:
            for batch in numbers:
                for number in batch["id"].to_pylist():
                    for table in invoice_rows(pieces.invoices[number]):
                        yield from _numbered(table, n_parts, wanted).to_batches()

        files = [self._spark.range(0, len(each), 1, len(each)) for each in (pieces.clients, pieces.invoices)]
        return files[0].mapInArrow(read_clients, client_types(columns)), files[1].mapInArrow(
            read_invoices, INVOICE_TYPES
        )

    @contextmanager
    def _told(self, tell: OnProgress) -> Iterator[None]:
        """Tells every half second how many tasks are done."""
        tracker, over = self._spark.sparkContext.statusTracker(), Event()

        def watch() -> None:
            while not over.wait(0.5):
                with suppress(Exception):  # a session that is going down has no stages any more
                    stages = [tracker.getStageInfo(number) for number in tracker.getActiveStageIds()]
                    done = [(stage.numCompletedTasks, stage.numTasks) for stage in stages if stage]
                    if done:
                        tell("Working on Spark, tasks", *map(sum, zip(*done, strict=True)))

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


# --- rows and bytes ---------------------------------------------------------------------------------------------------


def client_types(columns: tuple[str, ...]) -> str:
    """The columns of clients in Spark's words."""
    return ", ".join(
        [f"{PART} int", f"{ROW} bigint", *(_type(field) for field in CLIENT_FIELDS if field.name in columns)]
    )


def _type(field: Column) -> str:
    return f"{field.name} {SPARK_TYPES[str(np.dtype(field.dtype))]}"


SPARK_TYPES = {"float64": "double", "datetime64[D]": "date", "int8": "tinyint", "object": "string"}
INVOICE_TYPES = ", ".join([f"{PART} int", "client_id string", f"{EXPORT_DATE} boolean", *map(_type, INVOICE_FIELDS)])


def _numbered(table, n_parts: int, wanted):
    """Rows with the number of their part in place of its key. [wanted: a broadcast of the ids to keep, or None]"""
    import pyarrow as pa

    part = (table[PART_KEY].to_numpy() % n_parts).astype(np.int32)
    table = table.set_column(0, PART, pa.array(part))
    return table if wanted is None else filter_clients(table, wanted.value)


def _next(rows: Iterator):
    """The next row, None after the last."""
    with _spark_errors():
        return next(rows, None)


def _to_bytes(table) -> bytes:
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _from_bytes(data: bytes):
    import pyarrow as pa

    with pa.ipc.open_stream(data) as stream:
        return stream.read_all()


@contextmanager
def _spark_errors() -> Iterator[None]:
    """A bad file is named as everywhere; what else ends a job becomes one sentence."""
    from pyspark.errors import PySparkException

    try:
        with _without_pandas_warnings():
            yield
    except Exception as error:
        is_of_java = type(error).__module__.startswith("py4j") or isinstance(error, (ConnectionError, EOFError))
        if not is_of_java and not isinstance(error, PySparkException):
            raise
        if said := TABLE_ERROR.search(str(error)):
            raise TableError(said[1]) from error
        raise SparkError(f"The Spark job ended before its time: {_cause(error)}.") from error


@contextmanager
def _without_pandas_warnings() -> Iterator[None]:
    """Without what is said of pandas: none of our data comes near it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
