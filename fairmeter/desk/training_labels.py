"""The desk's visits as train.py learns from them.

In:  the URL of the desk's database.
Out: VisitLabels; in words what visits found, those that were chosen beside those drawn at random.
"""

from contextlib import closing
from pathlib import Path

import numpy as np

from fairmeter.casework.hit_rates import hit_rates, inspection_labels, overall
from fairmeter.core.formatting import counted, share
from fairmeter.store import Store, StoreError
from fairmeter.training.dataset import TrainingError
from fairmeter.training.inspection_labels import InspectionLabels

DATABASE = "sqlite:///fairmeter.db"  # where none is named: the desk of this working directory


def visits_at(url: str | None) -> tuple[InspectionLabels, list[str]]:
    """What visits found, and the same in words. Raises TrainingError."""
    try:
        with closing(Store(url or DATABASE)) as store:
            check_is_there(store)
            inspections = store.inspections()
            labels = inspection_labels(inspections)
            scores, readings = store.newest_scores(), store.readings_of(label.client_id for label in labels)
    except StoreError as error:
        raise TrainingError(str(error)) from error
    if not labels:
        raise TrainingError(
            f"Of {counted(len(inspections), 'visit')} at the desk none found theft or cleared a client, so there is "
            "nothing to learn from: close cases with what their visits found, or train without --store."
        )
    unknown = [np.nan if label.probability is None else label.probability for label in labels]
    visits = InspectionLabels(
        np.array([label.client_id for label in labels], object),
        np.array([label.label for label in labels], np.float64),
        np.array([label.inspected_on for label in labels], "datetime64[D]"),
        np.array([label.is_random for label in labels], bool),
        np.array(unknown, np.float64),
        scores,
        readings,
    )
    return visits, [in_words(rate) for rate in hit_rates(inspections, overall)]


def check_is_there(store: Store) -> None:
    """Opening a file that is not there would make it. Raises TrainingError."""
    if store.is_sqlite and not Path(store.url.database).exists():
        raise TrainingError(
            f"There is no desk at {store.url.database}: name its database with --store or DATABASE_URL."
        )


def in_words(rate) -> str:
    how = "drawn at random" if rate.is_random else "chosen"
    interval = f"{share(rate.low)} to {share(rate.high)}"
    visits = f"Visits to clients {how}: {rate.n_inspected:,}, of which {rate.n_confirmed:,} found theft"
    return f"{visits}, {share(rate.hit_rate)} ({interval})."
