"""Labels from the desk's inspections, for train.py --store.

In:  the URL of the desk's database.
Out: InspectionLabels; sentences with the hit rates of chosen visits and of random ones.
"""

from contextlib import closing
from pathlib import Path

import numpy as np

from fairmeter.casework.hit_rates import HitRate, hit_rates, inspection_labels, overall
from fairmeter.core.formatting import counted, share
from fairmeter.store import Store, StoreError
from fairmeter.training.dataset import TrainingError
from fairmeter.training.inspection_labels import InspectionLabels

DATABASE = "sqlite:///fairmeter.db"  # the default: the desk of the working directory


def labels_at(url: str | None) -> tuple[InspectionLabels, list[str]]:
    """The labels of all inspections, and their hit rates as sentences. Raises TrainingError."""
    try:
        with closing(Store(url or DATABASE)) as store:
            check_exists(store)
            inspections = store.inspections()
            labels = inspection_labels(inspections)
            scores, readings = store.newest_scores(), store.readings_of(label.client_id for label in labels)
    except StoreError as error:
        raise TrainingError(str(error)) from error
    if not labels:
        found = f"The desk has {counted(len(inspections), 'visit', 'visits')}"
        found += ", none of which confirmed theft or cleared a client" if inspections else ""
        raise TrainingError(
            f"{found}, so there are no labels: close cases with the outcomes of their visits, or train without --store."
        )
    scored = [np.nan if label.probability is None else label.probability for label in labels]
    found = InspectionLabels(
        np.array([label.client_id for label in labels], object),
        np.array([label.label for label in labels], np.float64),
        np.array([label.inspected_on for label in labels], "datetime64[D]"),
        np.array([label.is_random for label in labels], bool),
        np.array(scored, np.float64),
        scores,
        readings,
    )
    return found, [describe_rate(rate) for rate in hit_rates(inspections, overall)]


def check_exists(store: Store) -> None:
    """Check that a database file exists, as opening it would create it. Raises TrainingError."""
    if store.is_sqlite and not Path(store.url.database).exists():
        raise TrainingError(
            f"There is no desk at {store.url.database}: name its database with --store or DATABASE_URL."
        )


def describe_rate(rate: HitRate) -> str:
    """The hit rate of chosen or of random visits with its interval, of those at which the meter was seen, in words."""
    how = "drawn at random" if rate.is_random else "chosen"
    visits = f"Visits to clients {how}: {rate.n_inspected:,}, with the meter seen at {rate.n_seen:,}"
    if not rate.n_seen:
        return f"{visits}."
    found = f"of which {rate.n_confirmed:,} found theft, {share(rate.hit_rate)}"
    return f"{visits}, {found} ({share(rate.low)} to {share(rate.high)})."
