"""A simulated utility in the format of the public STEG set: clients, invoices, readings, and the true thefts.

In:  a number of clients and a seed.
Out: a Utility of tables, or a zip of them (cli/simulate.py). Also clients, invoices and thefts alone, as the public
     set has no readings.

The base is a grid of monthly consumption [service, month]; a service is one client's electricity or gas (clients.py).
With a smart meter, the last months are sums of days: consumption of the home (load_profiles.py) in the weather of its
region (weather.py), with harmless changes and thefts, as registered by the meter (metering.py). Without one, thefts
change the months (thefts.py). billing.py makes the invoices, network.py the energy that transformers deliver.
Metrics on simulated clients show that the software works, not how well it finds real thieves.
"""

import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.core.types import Table
from fairmeter.simulation import clients as population
from fairmeter.simulation import demo_clients
from fairmeter.simulation import thefts as thieves
from fairmeter.simulation.billing import FIRST_READ_MONTH, draw_calendar, make_invoices
from fairmeter.simulation.load_profiles import draw_use
from fairmeter.simulation.metering import DAY, MeteredUtility, by_month, day_by_day, draw_homes, draw_readings
from fairmeter.simulation.network import TOWNS, DistributionNetwork, draw_totals
from fairmeter.simulation.thefts import month_of
from fairmeter.simulation.weather import draw_temperature, is_holiday

BLOCK = 2000  # clients simulated at a time, which bounds the memory
FRAUD_RATE = 0.056  # share of clients caught and labelled; measured in the public set
# Invented price per kWh by tariff (gas: 40 and 45), for the value of recovered energy.
PRICES = {10: 0.16, 11: 0.20, 15: 0.22, 29: 0.25, 9: 0.29, 40: 0.23, 45: 0.25}

ENERGY_NAMES = np.array(["ELEC", "GAZ"])
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # same seed, same bytes
UNIX = 3  # operating system in the zip's headers


class Utility(NamedTuple):
    """All tables in canonical columns. `client` is a row of clients; the other tables hold client_id."""

    clients: Table
    invoices: Table  # by client
    thefts: Table  # client_id, pattern, onset_on, ended_on, share_lost_kwh, caught
    readings: Table  # client, read_at, consumption_kwh; by client, then time
    harmless: Table  # client_id, change, onset_on
    transformers: Table  # transformer_id, region, latitude, longitude, has_meter
    transformer_totals: Table  # transformer_id, measured_on, delivered_kwh, losses_kwh, unregistered_kwh
    weather: Table  # region, measured_on, temperature_c, is_holiday


# ---- the utility


def simulate(n_clients: int, seed: int, fraud_rate: float = FRAUD_RATE) -> tuple[Table, Table, Table]:
    """Tables clients, invoices, thefts of a utility without smart meters; equal arguments give equal tables.

    The label 1 means caught; thefts also holds uncaught ones. ended_on is NaT for a continuing theft, onset_on may
    precede the first invoice, share_lost_kwh is NaN without consumption. Raises ValueError for no client, a negative
    seed, or a rate outside 0..0.5.
    """
    return tuple(simulate_blocks(n_clients, seed, fraud_rate, has_readings=False)[:3])


def simulate_utility(n_clients: int, seed: int, fraud_rate: float = FRAUD_RATE) -> Utility:
    """All tables of a utility with smart meters, whose first clients are the demo clients; otherwise as simulate().

    Demo clients have no label. The spike of a demo client, which is no theft, is in the table of thefts.
    """
    if n_clients <= demo_clients.N_PARTS:
        raise ValueError(f"Got {n_clients} clients; need more than {demo_clients.N_PARTS}, the number of demo clients.")
    return Utility(*simulate_blocks(n_clients, seed, fraud_rate, has_readings=True))


def simulate_blocks(n_clients: int, seed: int, fraud_rate: float, has_readings: bool) -> list[Table]:
    """The tables of Utility in order; without readings only the first three."""
    if n_clients < 1 or seed < 0 or not 0 <= fraud_rate <= 0.5:
        what = f"{n_clients} clients, seed {seed}, fraud rate {fraud_rate}"
        raise ValueError(f"Got {what}; need at least 1 client, a seed of 0 or more, and a fraud rate in 0..0.5.")
    firsts = range(0, n_clients, BLOCK)
    common_seed, *block_seeds = np.random.SeedSequence(seed).spawn(1 + len(firsts))
    rng = np.random.default_rng(common_seed)
    calendar = draw_calendar(rng, len(population.REGIONS))
    temperature = (
        draw_temperature(rng, DAY, np.array([TOWNS[code][0] for code in population.REGION])) if has_readings else None
    )
    blocks = [
        simulate_block(own, first, min(BLOCK, n_clients - first), fraud_rate, calendar, temperature)
        for own, first in zip(block_seeds, firsts, strict=True)
    ]
    tables = [stack(of_blocks) for of_blocks in zip(*blocks, strict=True)]
    return [*tables, weather_table(temperature)] if has_readings else tables


def simulate_block(
    seed: np.random.SeedSequence,
    first: int,
    n: int,
    fraud_rate: float,
    calendar: np.ndarray,
    temperature: np.ndarray | None,
) -> list[Table]:
    """Tables of clients first .. first + n - 1, without weather; without temperature only the first three."""
    rng, own_rng = np.random.default_rng(seed), np.random.default_rng(seed.spawn(1)[0])
    n_demo = demo_clients.N_PARTS if first == 0 and temperature is not None else 0
    clients, services = draw_accounts(rng, n, n_demo)
    network = DistributionNetwork.draw(
        own_rng, population.REGION[clients["region_row"]], clients["route"], first, n_demo
    )
    kwh, usual = population.draw_consumption(rng, services, n)
    thefts = thieves.draw_thefts(rng, services, round(fraud_rate * n), n_demo)
    homes = metered = exchanged = None
    if temperature is not None:
        homes = draw_homes(own_rng, services, network, n_demo)
        thefts = thieves.draw_days(own_rng, thefts, services, homes)
        thefts = demo_clients.cast_thefts(thefts) if n_demo else thefts
        metered = measure(own_rng, homes, kwh, usual, thefts, temperature)
        exchanged = homes["service"][metered.exchanged_home], month_of(metered.exchanged_on)
    kwh, registered = with_days(kwh, thieves.steal(rng, kwh, thefts), homes, metered)
    exchanges = thieves.draw_exchanges(rng, services, thefts, exchanged)
    invoices = make_invoices(
        rng, clients, services, registered, exchanges, thieves.turned_back(services, thefts), calendar
    )
    lost = thieves.lost_share(kwh, registered, thefts, services)
    ids = client_ids(first, n, n_demo)
    tables = [client_table(ids, clients, services, thefts, network), invoices, theft_table(ids, services, thefts, lost)]
    if metered:
        tables += [reading_table(homes, metered), harmless_table(ids, homes, metered)]
        tables += network_tables(own_rng, homes, metered, network)
    return [table | {"client": table["client"] + first} if "client" in table else table for table in tables]


def draw_accounts(rng: np.random.Generator, n: int, n_demo: int) -> tuple[Table, Table]:
    """Clients and their services, including the demo clients."""
    clients = population.draw_clients(rng, n)
    clients = demo_clients.cast_clients(clients) if n_demo else clients
    services = population.draw_services(rng, clients)
    return clients, demo_clients.cast_services(services, clients) if n_demo else services


def with_days(
    kwh: np.ndarray, registered: np.ndarray, homes: Table | None, metered: MeteredUtility | None
) -> tuple[np.ndarray, np.ndarray]:
    """Used and registered kWh [service, month], in months with readings as sums of the days."""
    if metered:
        kwh, registered, of = kwh.copy(), registered.copy(), homes["service"]
        kwh[of, FIRST_READ_MONTH:] = by_month(metered.used)
        registered[of] = np.hstack([metered.before, by_month(metered.registered)])
    return kwh, registered


# ---- smart meters


def measure(
    rng: np.random.Generator, homes: Table, kwh: np.ndarray, usual: np.ndarray, thefts: Table, temperature: np.ndarray
) -> MeteredUtility:
    """Daily consumption of homes and the readings of their meters. [kwh, usual: (service, month)]"""
    log_kwh, felt, is_demo = day_by_day(usual[homes["service"]]), temperature[homes["region_row"]], homes["is_demo"]
    # Demo clients have no drift, heating or cooling, so that only their scenario shows.
    log_kwh[is_demo], felt[is_demo] = log_kwh[is_demo, :1], demo_clients.MILD
    use = draw_use(rng, log_kwh, felt, DAY, homes["is_shop"])
    is_metered = np.isin(thefts["service"], homes["service"])
    of_homes = {name: column[is_metered] for name, column in thefts.items()}
    of_homes["home"] = np.searchsorted(homes["service"], of_homes["service"])
    return draw_readings(rng, homes, use, kwh[homes["service"], :FIRST_READ_MONTH], of_homes)


# ---- tables


def client_table(
    ids: np.ndarray, clients: Table, services: Table, thefts: Table, network: DistributionNetwork
) -> Table:
    """Table of clients in canonical columns."""
    label = np.where(np.isin(ids, list(demo_clients.PARTS)), np.nan, 0.0)
    label[services["client"][thefts["service"][thefts["caught"]]]] = 1.0
    first_service = np.searchsorted(services["client"], np.arange(len(ids)))
    return {
        "client_id": ids,
        "category": population.CATEGORIES[clients["category_row"]].astype(float),
        "region": population.REGION[clients["region_row"]],
        "district": clients["district"],
        "created_on": clients["created_on"],
        **network.places,
        "transformer_id": network.transformers["transformer_id"][network.transformer],
        "tariff_price": np.array([PRICES[code] for code in services["tariff"][first_service].tolist()]),
        "label": label,
    }


def theft_table(ids: np.ndarray, services: Table, thefts: Table, lost: np.ndarray) -> Table:
    """Table of true thefts; without smart meters onset and end are first days of months."""
    return {
        "client_id": ids[services["client"][thefts["service"]]],
        "pattern": thefts["pattern"],
        "onset_on": thefts["onset_on"],
        "ended_on": np.where(thefts["caught"], thefts["ended_on"], np.datetime64("NaT")),
        "share_lost_kwh": np.round(lost, 4),
        "caught": thefts["caught"].astype(float),
    }


def reading_table(homes: Table, metered: MeteredUtility) -> Table:
    """Table of readings in canonical columns."""
    client = homes["client"][metered.readings["home"]]
    return {"client": client, **{name: metered.readings[name] for name in ("read_at", "consumption_kwh")}}


def harmless_table(ids: np.ndarray, homes: Table, metered: MeteredUtility) -> Table:
    """Table of true harmless changes."""
    of = metered.harmless
    return {"client_id": ids[homes["client"][of["home"]]], "change": of["change"], "onset_on": of["onset_on"]}


def network_tables(
    rng: np.random.Generator, homes: Table, metered: MeteredUtility, network: DistributionNetwork
) -> list[Table]:
    """Table of transformers, and daily totals of those with a meter."""
    transformers = network.transformers
    measuring = np.flatnonzero(transformers["has_meter"])
    place = np.searchsorted(measuring, homes["transformer"])
    totals = draw_totals(rng, place, metered.used, metered.registered, len(measuring))
    by_row = {
        "transformer_id": np.repeat(transformers["transformer_id"][measuring], len(DAY)),
        "measured_on": np.tile(DAY, len(measuring)),
    }
    names = ("transformer_id", "region", "latitude", "longitude", "has_meter")
    table = {name: transformers[name] for name in names}
    table["has_meter"] = table["has_meter"].astype(float)
    return [table, by_row | {name: column.ravel() for name, column in totals.items()}]


def weather_table(temperature: np.ndarray) -> Table:
    """Weather and holidays by region and day."""
    n_regions, n_days = temperature.shape
    return {
        "region": np.repeat(population.REGION, n_days),
        "measured_on": np.tile(DAY, n_regions),
        "temperature_c": temperature.ravel(),
        "is_holiday": np.tile(is_holiday(DAY), n_regions).astype(float),
    }


def client_ids(first: int, n: int, n_demo: int) -> np.ndarray:
    """Client ids: those of the demo clients, then s-00017 and so on."""
    return np.array([*list(demo_clients.PARTS)[:n_demo], *(f"s-{first + row:05d}" for row in range(n_demo, n))], object)


def stack(tables: tuple[Table, ...]) -> Table:
    """Concatenate tables with the same columns."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


# ---- the file


def write_zip(path: Path, *tables: Table) -> None:
    """Write tables, in the order of Utility, as CSVs in one zip; equal tables give equal bytes. Raises OSError."""
    ids = tables[0]["client_id"]
    partial = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for name, table in zip(Utility._fields, tables, strict=False):
                archive.writestr(member(f"{name}.csv"), csv_bytes(csv_columns(table, ids)))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def csv_columns(table: Table, ids: np.ndarray) -> Table:
    """Table for a CSV: client ids, names of energies, times in seconds."""
    named = {"client_id": ids[table["client"]]} if "client" in table else {}
    for name, column in table.items():
        if name == "energy":
            named[name] = ENERGY_NAMES[column]
        elif name == "read_at":
            named[name] = column.astype("datetime64[s]")  # pyarrow does not support minutes
        elif name != "client":
            named[name] = column
    return named


def member(name: str) -> zipfile.ZipInfo:
    """A zip entry without the time and system of its making, for reproducible bytes."""
    info = zipfile.ZipInfo(name, ZIP_TIME)
    info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, UNIX, 0o644 << 16
    return info


def csv_bytes(table: Table) -> bytes:
    """CSV with ISO dates, whole numbers without decimals, empty fields for missing values."""
    import pyarrow
    from pyarrow import csv

    columns = {name: pyarrow.array(values, from_pandas=True) for name, values in table.items()}
    columns = {name: column.cast("int64") if is_whole(table[name]) else column for name, column in columns.items()}
    sink = pyarrow.BufferOutputStream()
    csv.write_csv(pyarrow.table(columns), sink, csv.WriteOptions(quoting_style="none"))
    return sink.getvalue().to_pybytes()


def is_whole(values: np.ndarray) -> bool:
    """Whether all values are whole floats or missing."""
    return values.dtype == float and not np.mod(values[~np.isnan(values)], 1).any()
