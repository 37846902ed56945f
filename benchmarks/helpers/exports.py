"""Four invented utilities' exports with the map of each, and the same base by careful pandas under canonical names."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.helpers.files import write_files

MONTHS = ("JAN", "FEV", "MAR", "ABR", "MAI", "JUN", "JUL", "AGO", "SET", "OUT", "NOV", "DEZ")


class Export(NamedTuple):
    """A folder with files as the utility writes them, its map, and a folder with canonical files of the same."""

    files: Path
    map: Path
    canonical: Path


def _export(folder: Path, files: dict, data_map: str, tables: dict[str, pd.DataFrame]) -> Export:
    write_files(folder / "export", files)
    (folder / "mine.toml").write_text(data_map, encoding="utf-8")
    (folder / "canonical").mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / "canonical" / f"{name}.csv", index=False)
    return Export(folder / "export", folder / "mine.toml", folder / "canonical")


def _brazilian_number(value: float) -> str:
    return f"{value:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")


BRAZILIAN_MAP = """
[files]
encoding = "latin-1"
delimiter = ";"
decimal = ","
thousands = "."

[clients]
client_id = "Instalação"
category = "Classe"
region = "Município"
created_on = {column = "Data Ligação", format = "%d/%m/%Y"}
label = {column = "Irregular", values = {SIM = 1, "NÃO" = 0}}

[invoices]
client_id = "Instalação"
wide = {columns = '[A-Z]{3}/\\d{4}', to = "consumption", format = "%b/%Y", locale = "pt", day = "last"}
months = {constant = 1}
energy = {constant = "ELEC"}
"""


def brazilian(folder: Path, n: int = 40, n_months: int = 30) -> Export:
    """Wide months, latin-1, decimal comma: one file with a row a client."""
    random = np.random.default_rng(3)
    periods = pd.period_range("2021-01", periods=n_months, freq="M")
    kwh = np.round(random.gamma(4.0, 400.0, (n, n_months)), 2)
    kwh[random.random(kwh.shape) < 0.05] = np.nan
    ids = [f"{i:010d}" for i in range(17, 17 + n)]
    names = [f"{MONTHS[p.month - 1]}/{p.year}" for p in periods]
    header = ["Instalação", "Classe", "Município", "Data Ligação", "Irregular", *names]
    lines = [";".join(header)]
    created = pd.date_range("2005-01-03", periods=n, freq="37D")
    labels = ["SIM" if i % 8 == 0 else "NÃO" if i % 3 == 0 else "" for i in range(n)]
    places = ["Feira de Santana", "São Félix", "Ilhéus"]
    for i in range(n):
        cells = ["" if np.isnan(v) else _brazilian_number(v) for v in kwh[i]]
        lines.append(";".join([ids[i], "RESIDENCIAL", places[i % 3], f"{created[i]:%d/%m/%Y}", labels[i], *cells]))
    wide = pd.DataFrame(kwh, columns=[str(p.end_time.date()) for p in periods]).assign(client_id=ids)
    bills = wide.melt("client_id", var_name="invoice_on", value_name="consumption").dropna(subset="consumption")
    bills = bills.assign(months=1, energy="ELEC")
    clients = pd.DataFrame({
        "client_id": ids, "category": "RESIDENCIAL", "region": [places[i % 3] for i in range(n)],
        "created_on": created.strftime("%Y-%m-%d"), "label": [{"SIM": 1, "NÃO": 0}.get(label) for label in labels],
    })  # fmt: skip
    files = {"consumo_2021.csv": "\r\n".join(lines).encode("latin-1")}
    return _export(folder, files, BRAZILIAN_MAP, {"clients": clients, "invoices": bills})


INDIAN_MAP = """
[clients]
files = "consumer_master.csv"
client_id = "CONSUMER_NO"
category = "TARIFF_CAT"
created_on = {column = "DATE_OF_CONN", format = "%d-%b-%y", locale = "en"}

[invoices]
files = "ledger*.csv"
client_id = "CONSUMER_NO"
drop = {DOC_STATUS = 'CANCELLED|REVERSED'}
invoice_on = {column = "CURR_RDG_DT", format = "%d-%m-%Y"}
months = {from = "PREV_RDG_DT", to = "CURR_RDG_DT", format = "%d-%m-%Y"}
consumption_level_1 = "SLAB_0_100"
consumption_level_2 = "SLAB_101_200"
consumption_level_3 = {sum = ["SLAB_201_400", "SLAB_ABOVE"]}
old_index = "PREV_RDG"
new_index = "CURR_RDG"
coefficient = "MF"
meter_id = "METER_NO"
remark = "MTR_STATUS"
quality = {column = "BILL_BASIS", values = {MU = "actual", "*" = "estimated"}}
energy = {constant = "ELEC"}
"""


def indian(folder: Path, n: int = 30, n_months: int = 24) -> Export:
    """A ledger with readings and slabs in two files, cancelled bills, and a master of consumers."""
    random = np.random.default_rng(4)
    ids = [f"{7000 + i}" for i in range(n)]
    rows = []
    for i, client_id in enumerate(ids):
        index = int(random.integers(0, 5000))
        day = pd.Timestamp("2021-01-05") + pd.Timedelta(days=int(random.integers(0, 20)))
        for _ in range(n_months):
            step = int(random.integers(28, 34))
            used, after = int(random.gamma(4.0, 50.0)), day + pd.Timedelta(days=step)
            slabs = [min(used, 100), min(max(used - 100, 0), 100), min(max(used - 200, 0), 200), max(used - 400, 0)]
            status = "CANCELLED" if random.random() < 0.04 else "POSTED"
            basis, mark = ("IDF", "LOCKED") if random.random() < 0.06 else ("MU", "OK")
            rows.append([client_id, f"M{i}", day, after, index, index + used, 1, *slabs, status, basis, mark])
            if status == "POSTED":
                index, day = index + used, after
    names = ["CONSUMER_NO", "METER_NO", "PREV_RDG_DT", "CURR_RDG_DT", "PREV_RDG", "CURR_RDG", "MF", "SLAB_0_100"]
    names += ["SLAB_101_200", "SLAB_201_400", "SLAB_ABOVE", "DOC_STATUS", "BILL_BASIS", "MTR_STATUS"]
    ledger = pd.DataFrame(rows, columns=names)
    as_written = ledger.assign(**{c: ledger[c].dt.strftime("%d-%m-%Y") for c in ("PREV_RDG_DT", "CURR_RDG_DT")})
    connected = pd.date_range("2001-03-05", periods=n, freq="61D")
    master = pd.DataFrame({
        "CONSUMER_NO": ids, "TARIFF_CAT": ["LT-DOM" if i % 4 else "LT-COM" for i in range(n)],
        "DATE_OF_CONN": connected.strftime("%d-%b-%y").str.upper(),
    })  # fmt: skip
    kept = ledger[ledger["DOC_STATUS"] == "POSTED"]
    days = (kept["CURR_RDG_DT"] - kept["PREV_RDG_DT"]).dt.days
    bills = pd.DataFrame({
        "client_id": kept["CONSUMER_NO"], "invoice_on": kept["CURR_RDG_DT"].dt.strftime("%Y-%m-%d"),
        "months": (days / 30.44).round().clip(lower=1).astype(int), "consumption_level_1": kept["SLAB_0_100"],
        "consumption_level_2": kept["SLAB_101_200"], "consumption_level_3": kept["SLAB_201_400"] + kept["SLAB_ABOVE"],
        "consumption_level_4": 0, "old_index": kept["PREV_RDG"], "new_index": kept["CURR_RDG"],
        "coefficient": kept["MF"], "meter_id": kept["METER_NO"], "remark": kept["MTR_STATUS"], "energy": "ELEC",
        "quality": kept["BILL_BASIS"].map({"MU": "actual", "IDF": "estimated"}),
    })  # fmt: skip
    clients = pd.DataFrame({
        "client_id": ids, "category": master["TARIFF_CAT"], "created_on": connected.strftime("%Y-%m-%d"),
    })  # fmt: skip
    half = len(as_written) // 2
    files = {
        "consumer_master.csv": master.to_csv(index=False),
        "ledger_1.csv": as_written[:half].to_csv(index=False),
        "ledger_2.csv": as_written[half:].to_csv(index=False),
    }
    return _export(folder, files, INDIAN_MAP, {"clients": clients, "invoices": bills})


def _of_the_hour(hour: np.ndarray) -> np.ndarray:
    """A household's use at an hour of the day over its highest: least in the early morning."""
    return 0.6 - 0.4 * np.cos((hour - 3.5) * np.pi / 12.0)


EUROPEAN_MAP = """
[files]
delimiter = ";"
zone = "Europe/Berlin"

[readings]
client_id = "Zaehlpunkt"
keep = {OBIS = '1-0:1\\.8\\.[12]'}
read_at = {column = ["Datum", "Zeit"], format = "%d.%m.%Y %H:%M", stamp = "end"}
consumption_kwh = {column = "Wert", unit = "Wh"}
quality = {column = "Status", values = {W = "actual", E = "estimated"}}
series = ["OBIS"]
"""


def european(folder: Path, n: int = 6, n_days: int = 40) -> Export:
    """Quarter hours in Wh by OBIS code, stamped at their end; high tariff by day, low by night, and what was fed in."""
    random = np.random.default_rng(5)
    starts = pd.date_range("2024-01-08", periods=n_days * 96, freq="15min")
    lines, parts = ["Zaehlpunkt;Datum;Zeit;OBIS;Wert;Status"], []
    for i in range(n):
        wh = (random.integers(40, 400, len(starts)) * _of_the_hour(starts.hour)).astype(int)
        is_day = (starts.hour >= 6) & (starts.hour < 22)
        status = np.where(random.random(len(starts)) < 0.02, "E", "W")
        for start, value, by_day, state in zip(starts, wh, is_day, status, strict=True):
            end = start + pd.Timedelta(minutes=15)
            code = "1-0:1.8.1" if by_day else "1-0:1.8.2"
            lines.append(f"DE{i:09d};{end:%d.%m.%Y};{end:%H:%M};{code};{value};{state}")
        lines.append(f"DE{i:09d};09.01.2024;00:15;1-0:2.8.0;77;W")
        quality = np.where(status == "E", "estimated", "actual")
        ids = f"DE{i:09d}"
        parts.append(pd.DataFrame({
            "client_id": ids, "read_at": starts.strftime("%Y-%m-%dT%H:%M"), "consumption_kwh": wh / 1000,
            "quality": quality,
        }))  # fmt: skip
    random.shuffle(body := lines[1:])
    files = {"lastgang.csv": "\n".join([lines[0], *body]) + "\n"}
    return _export(folder, files, EUROPEAN_MAP, {"readings": pd.concat(parts)})


FRENCH_MAP = """
[files]
delimiter = ";"
zone = "Europe/Paris"

[readings]
files = "courbe_*.csv"
client_id = {above = 'Identifiant PRM;.*\\n(\\d{14});'}
read_at = {column = "Horodate", stamp = "end"}
consumption_kwh = {column = "Valeur", unit = "W", minutes = 30}
"""


def french(folder: Path, n: int = 300, n_days: int = 4) -> Export:
    """Load curves in W, a file a client, the client's id above the header."""
    random = np.random.default_rng(6)
    starts = pd.date_range("2023-11-01", periods=n_days * 48, freq="30min")
    ends = [f"{t:%Y-%m-%dT%H:%M:%S}+01:00" for t in starts + pd.Timedelta(minutes=30)]
    files, parts = {}, []
    for i in range(n):
        watts = (random.integers(160, 3000, len(starts)) * _of_the_hour(starts.hour)).astype(int)
        prm = f"{10000000000000 + i}"
        above = f"Identifiant PRM;Type de donnees;Unite\n{prm};Courbe de charge;W\n\nHorodate;Valeur\n"
        rows = "\n".join(f"{end};{w}" for end, w in zip(ends, watts, strict=True))
        files[f"courbe_{i:03d}.csv"] = above + rows + "\n"
        kwh = watts / 2000
        parts.append(
            pd.DataFrame({"client_id": prm, "read_at": starts.strftime("%Y-%m-%dT%H:%M"), "consumption_kwh": kwh})
        )
    return _export(folder, files, FRENCH_MAP, {"readings": pd.concat(parts)})
