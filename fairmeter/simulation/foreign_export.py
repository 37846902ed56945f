"""An invented utility's export in a layout of its own, to try maps on: tutorial and notebook begin with it.

In:  a number of clients, a seed and a folder.
Out: cadastro.csv, a row a client, and faturas_YYYY.csv, a row an electricity invoice: latin-1, semicolons, decimal
     commas, day-first dates, Portuguese names; a result of an inspection for some clients only.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from fairmeter.core.types import Table
from fairmeter.simulation.utility import simulate

FRAUD_RATE = 0.2  # one in five, so that few clients are enough to learn from
INSPECTED_SHARE = 0.5  # of the clients that are no known fraud
CLASSES = {11: "RESIDENCIAL", 12: "COMERCIAL", 51: "INDUSTRIAL"}
PLACES = ("Feira de Santana", "São Félix", "Ilhéus", "Itabuna", "Vitória da Conquista")
CLIENTS = ("Nº Cliente", "Classe", "Município", "Data Ligação", "Irregularidade")
INVOICES = (
    "Nº Cliente", "Data Leitura", "Meses", "Consumo (kWh)", "Leitura Anterior", "Leitura Atual", "Medidor", "Tarifa",
    "Situação",
)  # fmt: skip


def write_export(folder: Path, n_clients: int, seed: int) -> list[Path]:
    """Write the files and return their paths."""
    clients, invoices, _ = simulate(n_clients, seed, FRAUD_RATE)
    ids = [f"{7_000_000 + 13 * i:010d}" for i in range(n_clients)]
    paths = [_written(folder / "cadastro.csv", CLIENTS, _client_rows(clients, ids, seed))]
    by_year = defaultdict(list)
    for row in _invoice_rows(invoices, ids):
        by_year[row[1][-4:]].append(row)
    return paths + [_written(folder / f"faturas_{year}.csv", INVOICES, by_year[year]) for year in sorted(by_year)]


def _client_rows(clients: Table, ids: list[str], seed: int):
    random = np.random.default_rng(seed)
    for i, client_id in enumerate(ids):
        is_fraud = clients["label"][i] == 1
        result = "SIM" if is_fraud else "NÃO" if random.random() < INSPECTED_SHARE else ""
        place = PLACES[int(clients["region"][i]) % len(PLACES)]
        yield (
            client_id,
            CLASSES.get(int(clients["category"][i]), "OUTRA"),
            place,
            _date(clients["created_on"][i]),
            result,
        )


def _invoice_rows(invoices: Table, ids: list[str]):
    levels = sum(invoices[f"consumption_level_{i}"] for i in (1, 2, 3, 4))
    for i in np.flatnonzero(invoices["energy"] == 0):
        numbers = (levels[i], invoices["old_index"][i], invoices["new_index"][i])
        codes = (f"{invoices['meter_id'][i]:.0f}", f"T{invoices['tariff'][i]:.0f}", "FATURADA")
        yield (
            ids[invoices["client"][i]], _date(invoices["invoice_on"][i]), f"{invoices['months'][i]:.0f}",
            *map(_number, numbers), *codes,
        )  # fmt: skip


def _date(day: np.datetime64) -> str:
    year, month, date = str(day.astype("datetime64[D]")).split("-")
    return f"{date}/{month}/{year}"


def _number(value: float) -> str:
    return f"{value:,.1f}".replace(",", " ").replace(".", ",").replace(" ", ".")


def _written(path: Path, header: tuple[str, ...], rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [";".join(header), *(";".join(row) for row in rows)]
    path.write_bytes("\r\n".join(lines).encode("latin-1") + b"\r\n")
    return path
