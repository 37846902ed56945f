"""score.py --store: scores and what was learnt of the clients -> the desk's database, in one transaction."""

from collections.abc import Mapping

from rich.console import Console

from fairmeter.cli.settings import CommandSettings, secret_value
from fairmeter.core.types import Score
from fairmeter.data.writers import OutputError
from fairmeter.desk import runs
from fairmeter.scoring.population import ClientBase
from fairmeter.scoring.ranking import SelectionSizes
from fairmeter.store import Store

SAMPLED_SHARE = 0.1  # of --keep: additional clients sampled at random, from which the desk draws its random visits
MAX_PARTITIONED_PROFILES = 50_000  # each takes 30 kB of memory until it is written


class StoreOutputError(OutputError):
    """The desk's database cannot be used; one sentence."""


def open_store(settings: CommandSettings) -> Store:
    """The desk's store, its tables up to date. Raises StoreOutputError."""
    try:
        return runs.open_store(secret_value(settings.database_url) or runs.DATABASE)
    except runs.OPEN_ERRORS as error:
        raise StoreOutputError(str(error)) from error


def save_scores(store: Store, scores: list[Score], base: ClientBase, console: Console, **details) -> None:
    """Write the scores and close the store. [details: as runs.save_run takes them]

    Raises StoreOutputError; the database is then as it was before.
    """
    version = str(base.model.manifest["version"])
    try:
        summary = runs.save_run(
            store, runs.RULES, scores, version, base.tables, base.days, base.invoice_scores(scores), **details
        )
    except runs.OPEN_ERRORS as error:
        raise StoreOutputError(str(error)) from error
    finally:
        store.close()
    counts = f"{summary.n_raised:,} raised, {summary.n_updated:,} updated, {summary.n_lapsed:,} lapsed"
    console.print(f"{summary.n_profiles:,} clients at the desk; alerts: {counts}.")


def selection_sizes(store: Store, n_highest: int) -> SelectionSizes:
    """Which clients of a partitioned run get a profile. Raises StoreOutputError, the store is then closed."""
    try:
        n = store.count_profiles() + n_highest
        if n <= MAX_PARTITIONED_PROFILES:
            stored: Mapping = store.newest_scores()
            return SelectionSizes(n_highest, round(SAMPLED_SHARE * n_highest), stored.keys())
    except runs.OPEN_ERRORS as error:
        raise StoreOutputError(str(error)) from error
    store.close()
    raise StoreOutputError(
        f"--store would write {n:,} profiles, stored ones included; with --memory or --spark the limit is "
        f"{MAX_PARTITIONED_PROFILES:,}. Lower --keep, use another database, or score in memory."
    )
