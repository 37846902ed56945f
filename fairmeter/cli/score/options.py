"""The options of score.py: words of a command line -> ScoringOptions."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from fairmeter.cli.options import amount, bytes_of, share, whole
from fairmeter.planning.inspection_list import RANDOM_SHARE, RECENT_DAYS
from fairmeter.planning.recovery import BILLABLE_MONTHS


@dataclass(frozen=True)
class ScoringOptions:
    """What one run of score.py reads, computes and writes; each field is the option of its name."""

    sources: list[Path]
    clients: Path | None
    invoices: Path | None
    readings: Path | None
    map: str | None
    guess_map: bool
    check: bool
    weather: Path | None
    transformers: Path | None
    holidays: str | None
    out: Path
    model: Path | None
    report: Path | None
    former: Path | None
    store: bool
    accept_fewer: bool
    spark: str | None
    memory: int | None  # bytes
    keep: int
    visits: int | None
    list: Path
    cost: float  # of a visit, in the currency of the prices
    price: float | None  # per kWh
    false_alarms: float | None  # expected share, 0..1
    random_share: float  # 0..1
    seed: int
    spread_regions: bool
    routes: int | None  # visits a day
    leave_out: Path | None
    recent_days: int
    billable_months: int

    @property
    def files(self) -> tuple[Path, ...]:
        """All files and folders that the run reads clients, invoices and readings from."""
        return (*self.sources, *filter(None, (self.clients, self.invoices, self.readings)))

    @property
    def has_list(self) -> bool:
        """Whether an inspection list is asked for."""
        return self.visits is not None or self.false_alarms is not None

    @property
    def is_partitioned(self) -> bool:
        """Whether the client base is scored in parts, on this disk or on Spark."""
        return bool(self.memory or self.spark)


def parse(arguments: list[str] | None) -> ScoringOptions:
    """The options of a command line, by default this process's. Ends the process for words that are none."""
    return ScoringOptions(**vars(parser().parse_args(arguments)))


def parser() -> argparse.ArgumentParser:
    """The parser of score.py."""
    parser = argparse.ArgumentParser(prog="score.py", description="Rank all clients by their score.")
    add = parser.add_argument
    add("sources", nargs="*", type=Path, help="a zip, a folder, or the files")
    add("--clients", type=Path, help="the clients' file, whatever its name")
    add("--invoices", type=Path, help="the invoices' file, whatever its name")
    add("--readings", type=Path, help="the file of smart-meter readings; given alone, only readings are scored")
    add("--map", metavar="FILE_OR_NAME", help="what the columns mean: a .toml file, or a shipped map such as fluvius")
    add("--guess-map", action="store_true", help="print a map guessed from the files, to be corrected; score nothing")
    add("--check", action="store_true", help="say what is in the files and what looks wrong; score nothing")
    add("--weather", type=Path, help="a file with a date and a temperature a row, for a model trained with weather")
    add(
        "--transformers",
        type=Path,
        metavar="F",
        help="daily totals of transformers: a zip, folder or file; writes balance.csv",
    )
    add("--holidays", metavar="FILE_OR_COUNTRY", help="a file with a date a row, or a country's code: GB or GB-ENG")
    add("--out", type=Path, default=Path("scores.csv"), help="a .csv or .parquet file (scores.csv)")
    add("--model", type=Path, metavar="FILE", help="the model that scores (MODEL_PATH, else model.bin)")
    add(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="write report.html and drift.json: population drift against the training data",
    )
    add("--former", type=Path, metavar="F", help="a previous scores.csv; reports the overlap of the top clients")
    add("--store", action="store_true", help="also store the scores at the desk (DATABASE_URL, else fairmeter.db here)")
    add(
        "--accept-fewer",
        action="store_true",
        help="with --store: also a run that judges under 80 %% of the clients that the last one judged",
    )
    add("--spark", metavar="MASTER", help="score on Apache Spark: local[*], spark://HOST:7077, yarn")
    add("--memory", type=bytes_of, metavar="SIZE", help="score a base of any size in parts, in this much memory: 2GB")
    add(
        "--keep",
        type=whole,
        metavar="N",
        default=20_000,
        help="with --memory or --spark: highest scores that --store writes (20000)",
    )
    add = parser.add_argument_group("value of visits, and the inspection list").add_argument
    add("--visits", type=whole, help="number of visits the crews can make")
    add("--list", type=Path, default=Path("visits.csv"), help="the inspection list, .csv or .parquet (visits.csv)")
    add("--cost", type=amount, default=0.0, help="cost of a visit, in the currency of the prices (0)")
    add("--price", type=amount, help="price per kWh, for clients without a tariff_price")
    add("--false-alarms", type=share, help="list as many clients as this expected share of false alarms allows, 0 to 1")
    add("--random-share", type=share, default=RANDOM_SHARE, help=f"share of random visits ({RANDOM_SHARE})")
    add("--seed", type=whole, default=0, help="seed of the random visits; use another one each round (0)")
    add("--spread-regions", action="store_true", help="spread the visits over all regions, by their numbers of clients")
    add("--routes", type=whole, metavar="A_DAY", help="group near addresses into days of this many visits")
    add("--leave-out", type=Path, metavar="F", help="CSV with client_id, and inspected_on where it was a visit")
    add(
        "--recent-days",
        type=whole,
        default=RECENT_DAYS,
        help=f"days that a visit keeps a client off the list ({RECENT_DAYS})",
    )
    add(
        "--billable-months",
        type=whole,
        default=BILLABLE_MONTHS,
        help=f"months that may be billed back ({BILLABLE_MONTHS})",
    )
    return parser
