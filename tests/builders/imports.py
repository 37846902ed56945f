"""Imports in this process: a desk whose steps are done by a test, at once or when it says so."""

from pathlib import Path

from fairmeter.cli.imports import work_on_steps
from fairmeter.desk.import_files import ImportFiles
from fairmeter.desk.imports import Imports
from fairmeter.store import Store
from fairmeter.wording.phrases import Phrase

BOUNDARY = "a-line-between-files"
MAP = '[clients]\nclient_id = "Nr"\n\n[invoices]\nclient_id = "Nr"\ninvoice_on = "Data"\nconsumption = "kWh"\n'
HEADERS = {
    "hash": "h",
    "tables": [{"file": "bills.csv", "columns": ["Nr", "Data", "kWh", "<img src=x onerror=alert(1)>"]}],
}
FOUND = {
    "guess": {"headers": HEADERS, "guess": MAP, "map_text": MAP, "kept": None},
    "check": {
        "checked": {
            "exit_code": 1,
            "findings": [
                {
                    "level": "unusable", "table": "files", "text": "bills.csv holds <b>nothing</b>.", "line": None,
                    "flag": None,
                },
                {
                    "level": "look", "table": "invoices", "text": Phrase("check.wh", kwh=250_000.0),
                    "line": 'unit = "Wh"', "flag": None,
                },
                {
                    "level": "look", "table": "readings", "text": "Days without readings: 7", "line": None,
                    "flag": {"flag": "gap_days", "n": 7, "text": "Days without readings: 7."},
                },
            ],
            "tables": [
                {
                    "name": "invoices", "files": ["bills.csv"], "n_files": 1, "unused": ["=1+1"],
                    "samples": [
                        {"place": "bills.csv, line 2", "found": {"Nr": "<b>7</b>"}, "understood": {"client_id": "7"}}
                    ],
                }
            ],
            "missing": [{"columns": "region", "loss": Phrase("lost.region")}],
            "left_out": [{"flag": "duplicate_invoices", "n": 1, "text": "Twice: 1."}],
            "n_clients": 1, "n_invoices": 11, "n_readings": 0,
        }
    },
    "score": {
        "trial": {
            "digest": "d", "model_version": "1", "n_clients": 1, "n_by_severity": {"high": 1}, "n_suspected": 1,
            "n_at_desk": 0, "flags": [], "incidents": [{"flag": "same_factor", "n": 40, "text": "Half fell at once."}],
            "warning": "These are unlike.", "drift": ["Nothing has drifted."],
            "first": [
                {"client_id": "=cmd|7", "severity": "high", "probability": 0.7, "percentile": None, "reason": "A fall."}
            ],
        }
    },
    "confirm": {"outcome": {"n_profiles": 1, "n_raised": 1, "n_updated": 0, "n_lapsed": 0}},
}  # fmt: skip


class ByHand:
    """Steps that find what FOUND says; `run` may be replaced. Nothing is done before do()."""

    def __init__(self, store: Store) -> None:
        self.store, self.n_launched, self.run = store, 0, lambda claim, _tell: FOUND[claim.step]

    def launch(self) -> None:
        self.n_launched += 1

    def do(self) -> None:
        """Do all steps that wait."""
        work_on_steps(self.store, lambda claim, tell: self.run(claim, tell), lambda: None)


def with_imports(app_service, folder: Path | None, offered: Path | None = None, max_bytes: int = 2**20) -> ByHand:
    """Let a desk's service take files. [max_bytes: of one import]"""
    by_hand = ByHand(app_service.store)
    app_service.imports = Imports(app_service.store, ImportFiles(folder, offered, max_bytes), by_hand.launch)
    return by_hand


def upload(client, *files: tuple[str, bytes], headers=None, address: str = "/import", **fields: str):
    """Send files as a browser does. [fields: of the form, before the files]"""
    parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts += [(f'name="files"; filename="{name}"', content) for name, content in files]
    head = "--{}\r\nContent-Disposition: form-data; {}\r\n\r\n"
    body = b"".join(head.format(BOUNDARY, what).encode() + content + b"\r\n" for what, content in parts)
    body += f"--{BOUNDARY}--\r\n".encode()
    return client.post(
        address, data=body, headers=headers or {}, content_type=f"multipart/form-data; boundary={BOUNDARY}"
    )
