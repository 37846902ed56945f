"""A client base on a cluster: the steps of partitions.py on Apache Spark. The only module that imports pyspark.

In:  the address of the master, TableFiles, and a job: the Tables of a partition -> an Arrow table.
Out: the result of the job for each partition, each computed once; the rows of some clients.

Executors read the files, one task per file, with the same code as elsewhere; every machine must have them under the
same path. The shuffle groups the rows of each partition as Arrow tables. A task that is lost with its executor is
repeated and gives the same bytes.
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
from fairmeter.data.date_swaps import DATE_FORM
from fairmeter.data.files import Column, TableError
from fairmeter.data.partitioned.mapped_files import MappedTableFiles
from fairmeter.data.partitioned.partitions import (
    PART_KEY,
    ROW,
    TEXT,
    TableFiles,
    describe_files,
    filter_clients,
    require_rows,
)
from fairmeter.data.tables import CLIENT_FIELDS, INVOICE_FIELDS, Tables

PACKAGED = ("fairmeter/**/*.py", "fairmeter/wording/languages/*.toml")  # what executors import and read
START_SECONDS = 60  # until an executor has registered
CONNECT_SECONDS = 10  # until the master accepts a connection
# Of files, per partition: about 200,000 invoices, for which a Python worker needs another 0.2 GB.
PART_BYTES = 16 * 2**20
PARQUET_RATIO = 4  # size of rows as CSV over their size as Parquet
PART = "part"
SETTINGS = {
    # The number of partitions is chosen here: Spark would coalesce them by size and leave cores idle.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
}
# For a JVM that is started here; under spark-submit it runs already, with its own options. Spark's default of 1 GB is
# too small for the features of 100,000 clients, and a thread that runs out of memory would leave the job hanging.
DRIVER = {"spark.driver.memory": "4g", "spark.driver.extraJavaOptions": "-XX:+ExitOnOutOfMemoryError"}
MASTER = re.compile(r"local(\[|$)|local-cluster\[|spark://|yarn$|k8s://")
EXCEPTION = re.compile(r"[\w.]+(?:Error|Exception): ")
TABLE_ERROR = re.compile(r"^fairmeter\.data\.(?:\w+\.)*\w+: (.+)$", re.MULTILINE)

Job = Callable[[Tables, np.ndarray], object]  # (tables, row numbers of the clients) -> an Arrow table
OnProgress = Callable[[str, int, int | None], None]  # (step, number done, number in all if known)


class SparkError(Exception):
    """Spark cannot be used; one sentence: what is wrong, what was found, what to do."""


# --- a session --------------------------------------------------------------------------------------------------------


@contextmanager
def spark_jobs(master: str) -> Iterator["SparkJobs"]:
    """Jobs of the active session (a notebook's) or of a new one, which is stopped at the end. Raises SparkError."""
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise SparkError("pyspark is not installed: `make install`, or pipenv sync --categories spark.") from None
    active = SparkSession.getActiveSession()
    spark = active or _started(SparkSession.builder, master)
    try:
        with _spark_errors():
            _add_package(spark.sparkContext)
            for name, value in SETTINGS.items():
                spark.conf.set(name, value)
        yield SparkJobs(spark)
    finally:
        if active is None:
            with suppress(Exception):  # a session that has lost its cluster cannot be stopped
                spark.stop()


def _started(builder, master: str):
    """Start a session. Raises SparkError if the master or the executors do not answer in time."""
    from pyspark.errors import PySparkException

    check_master(master)
    try:
        builder = builder.master(master).appName("fairmeter").config("spark.ui.showConsoleProgress", "false")
        for name, value in DRIVER.items():
            builder = builder.config(name, value)
        with _without_pandas_warnings():
            spark = builder.getOrCreate()
    except PySparkException as error:  # without a recent Java, the JVM exits before it reports its port
        java = "Java 17 or newer (apt install openjdk-17-jre-headless, or set JAVA_HOME)"
        raise SparkError(f"Spark did not start: it needs {java}. Its own message is above.") from error
    except Exception as error:  # raised in Java, passed on by py4j: a bad address, a master that refuses
        raise SparkError(
            f"Spark did not start with the master {master} ({_cause(error)}); correct its address or its settings."
        ) from error
    spark.sparkContext.setLogLevel("ERROR")
    _wait_for_executors(spark, master)
    return spark


def check_master(master: str) -> None:
    """Raise SparkError for an invalid or silent master: Spark would retry for minutes, with a misleading message."""
    if not MASTER.match(master):
        raise SparkError(
            f"{master!r} is not a Spark master; write local[*], spark://HOST:7077, yarn or k8s://HOST:443."
        )
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
    """Raises SparkError after START_SECONDS."""
    if master.startswith("local") and not master.startswith("local-cluster"):
        return
    for _ in range(START_SECONDS * 10):
        if spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() > 1:  # the driver counts as one
            return
        time.sleep(0.1)
    spark.stop()
    raise SparkError(
        f"The master {master} provided no executor within {START_SECONDS} seconds: start workers, or free some."
    )


def _cause(error: BaseException) -> str:
    """The line of a Java stack trace that names the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return next((line for line in reversed(lines) if EXCEPTION.match(line)), lines[0])[:200].rstrip(".")


def _add_package(context) -> None:
    """Send the package to the executors, so that they need only its libraries."""
    path = package_archive()[0]
    if not any(file.endswith(path.name) for file in context.listFiles):  # a reused session may have it already
        context.addPyFile(str(path))


@cache
def package_archive() -> tuple[Path, TemporaryDirectory]:
    """A zip of the package's modules and its folder, which exists until the process ends: late executors request it."""
    folder = TemporaryDirectory()
    path = Path(folder.name) / "fairmeter.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in PACKAGED:
            for file in sorted(PROJECT.glob(pattern)):
                archive.write(file, file.relative_to(PROJECT))
    return path, folder


# --- jobs -------------------------------------------------------------------------------------------------------------


class SparkJobs:
    """Jobs of a Spark session."""

    def __init__(self, spark) -> None:
        self._spark = spark

    def map_partitions(self, files: TableFiles | MappedTableFiles, job: Job, on_progress: OnProgress) -> Iterator:
        """Yield the Arrow table that the job returns for each partition, unordered. Raises TableError, SparkError."""
        from pyspark import StorageLevel

        with _spark_errors():
            n_parts = self._n_parts(files)
            self._spark.conf.set("spark.sql.shuffle.partitions", str(n_parts))
            shared, place = self._spark.sparkContext.broadcast(job), describe_files(files.clients)

        def run(clients, invoices):
            import pyarrow as pa

            tables, rows = files.tables(clients, invoices, place)
            result = {
                "made": [_to_bytes(shared.value(tables, rows))],
                "n_clients": [len(rows)],
                "n_invoices": [invoices.num_rows],
            }
            return pa.table(result)

        made = None
        try:
            with _spark_errors(), self._reporting(on_progress):
                clients, invoices = (frame.groupBy(PART) for frame in self._frames(files, n_parts))
                made = clients.cogroup(invoices).applyInArrow(run, "made binary, n_clients bigint, n_invoices bigint")
                # Persisted: partitions are computed at once and fetched one by one; each is a few bytes per client.
                made = made.persist(StorageLevel.DISK_ONLY)
                [n_rows] = made.groupBy().sum("n_clients", "n_invoices").collect()
            for n, sources in zip(n_rows, (files.clients, files.invoices), strict=True):
                require_rows(describe_files(sources), n or 0)
            with _spark_errors():
                rows = made.select("made").toLocalIterator()
            while row := _next(rows):
                yield _from_bytes(row.made)
        finally:
            with suppress(Exception):
                made.unpersist()
                shared.destroy()

    def collect_clients(self, files: TableFiles | MappedTableFiles, client_ids: list[str]) -> tuple[Tables, np.ndarray]:
        """The Tables of these clients, and their row numbers. Raises TableError, SparkError."""
        with _spark_errors():
            wanted = self._spark.sparkContext.broadcast(client_ids)
            clients, invoices = (frame.toArrow() for frame in self._frames(files, 1, wanted))
        return files.tables(clients, invoices, describe_files(files.clients))

    def _n_parts(self, files: TableFiles | MappedTableFiles) -> int:
        packed = sum(source.n_bytes * (PARQUET_RATIO if source.is_parquet else 1) for source in files.invoices)
        return max(2 * self._spark.sparkContext.defaultParallelism, -(-packed // PART_BYTES))

    def _frames(self, files: TableFiles | MappedTableFiles, n_parts: int, wanted=None) -> tuple:
        """Clients and invoices as data frames with the number of their partition. [wanted: a broadcast of ids]"""

        def read_clients(numbers: Iterator) -> Iterator:
            for batch in numbers:
                for number in batch["id"].to_pylist():
                    for table in files.client_rows(number):
                        yield from _numbered(table, n_parts, wanted).to_batches()

        def read_invoices(numbers: Iterator) -> Iterator:
            for batch in numbers:
                for number in batch["id"].to_pylist():
                    for table in files.invoice_rows(number):
                        yield from _numbered(table, n_parts, wanted).to_batches()

        numbers = [self._spark.range(0, len(each), 1, len(each)) for each in (files.clients, files.invoices)]
        types = files.spark_types() if isinstance(files, MappedTableFiles) else table_types(files)
        return numbers[0].mapInArrow(read_clients, types[0]), numbers[1].mapInArrow(read_invoices, types[1])

    @contextmanager
    def _reporting(self, on_progress: OnProgress) -> Iterator[None]:
        """Report every half second how many tasks are done."""
        tracker, over = self._spark.sparkContext.statusTracker(), Event()

        def watch() -> None:
            while not over.wait(0.5):
                with suppress(Exception):  # a session that is being stopped has no stages
                    stages = [tracker.getStageInfo(number) for number in tracker.getActiveStageIds()]
                    done = [(stage.numCompletedTasks, stage.numTasks) for stage in stages if stage]
                    if done:
                        on_progress("Working on Spark, tasks", *map(sum, zip(*done, strict=True)))

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


# --- rows and bytes ---------------------------------------------------------------------------------------------------


def table_types(files: TableFiles) -> tuple[str, str]:
    """The columns of clients and of invoices as Spark schemas."""
    return client_types(files.client_columns), invoice_types(files.invoice_columns)


def client_types(columns: tuple[str, ...]) -> str:
    """The columns of clients as a Spark schema."""
    return ", ".join([f"{PART} int", f"{ROW} bigint", *_types(CLIENT_FIELDS, columns)])


def invoice_types(columns: tuple[str, ...]) -> str:
    """The columns of invoices as a Spark schema."""
    return ", ".join([f"{PART} int", "client_id string", f"{DATE_FORM} tinyint", *_types(INVOICE_FIELDS, columns)])


def _types(fields: tuple[Column, ...], columns: tuple[str, ...]) -> list[str]:
    given = [field for field in fields if field.name in columns]
    return [*map(_type, given), *(f"{field.name}{TEXT} string" for field in given if field.names_of)]


def _type(field: Column) -> str:
    return f"{field.name} {SPARK_TYPES[str(np.dtype(field.dtype))]}"


SPARK_TYPES = {"float64": "double", "datetime64[D]": "date", "int8": "tinyint", "object": "string"}


def _numbered(table, n_parts: int, wanted):
    """Replace the partition key of rows by the partition's number. [wanted: a broadcast of the ids to keep, or None]"""
    import pyarrow as pa

    part = (table[PART_KEY].to_numpy() % n_parts).astype(np.int32)
    table = table.set_column(0, PART, pa.array(part))
    return table if wanted is None else filter_clients(table, wanted.value)


def _next(rows: Iterator):
    """The next row, None after the last one."""
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
    """Turn an executor's TableError into the same here, and any other failure of a job into a SparkError."""
    from pyspark.errors import PySparkException

    try:
        with _without_pandas_warnings():
            yield
    except Exception as error:
        is_of_java = type(error).__module__.startswith("py4j") or isinstance(error, (ConnectionError, EOFError))
        if not is_of_java and not isinstance(error, PySparkException):
            raise
        if found := TABLE_ERROR.search(str(error)):
            raise TableError(found[1]) from error
        raise SparkError(f"The Spark job failed: {_cause(error)}. See the logs of the executors.") from error


@contextmanager
def _without_pandas_warnings() -> Iterator[None]:
    """Ignore Spark's warnings about pandas, which is not used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
