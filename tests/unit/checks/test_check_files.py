"""`score.py --check`: what is in the files, what looks wrong, and the line of the map that mends it."""

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks.helpers import exports
from fairmeter.checks.check_files import check_files
from fairmeter.checks.column_use import LOST
from fairmeter.checks.findings import CheckLevel
from fairmeter.checks.reading_checks import ReadingChecks
from fairmeter.cli.check import check_lines
from fairmeter.data.maps import parse_map, read_map
from fairmeter.data.partitioned import disk, reading_parts
from fairmeter.data.partitioned.reading_parts import DiskSpace
from fairmeter.data.tables import CLIENT_FIELDS, INVOICE_FIELDS
from fairmeter.reports.check_report import check_page
from fairmeter.wording.locales import locale_of
from fairmeter.wording.phrases import worded
from tests.builders.tables import a_client, an_invoice, csv_text, written


@pytest.fixture(scope="module")
def brazilian(tmp_path_factory):
    return exports.brazilian(tmp_path_factory.mktemp("brazilian"))


@pytest.fixture(scope="module")
def checked(brazilian):
    return check_files([brazilian.files], read_map(brazilian.map))


def daily(folder: Path, factor=1.0, hour=None, n=30, days=40) -> Path:
    """Readings of n homes of about 10 kWh a day, daily or at hours with the least use at `hour`."""
    random = np.random.default_rng(1)
    path = folder / "readings.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["client_id", "read_at", "consumption_kwh"])
        for home in range(n):
            for day in range(days):
                date = str(np.datetime64("2024-01-01") + day)
                if hour is None:
                    out.writerow([f"h{home}", date, round(float(random.normal(10, 1)) * factor, 4)])
                    continue
                for at in range(24):
                    share = 1.4 - np.cos((at - hour) * np.pi / 12)
                    out.writerow([f"h{home}", f"{date}T{at:02d}:00", round(float(share) * factor * 0.3, 4)])
    return path


def test_a_sound_export_has_no_finding(checked):
    assert checked.findings == ()
    assert checked.exit_code == 0


def test_counts_codes_and_labels_are_those_of_the_files(checked):
    assert (checked.clients.n, checked.invoices.n) == (40, 1130)
    assert dict(checked.clients.codes["region"]) == {"Feira de Santana": 14, "São Félix": 13, "Ilhéus": 13}
    assert checked.clients.labels.sentence() == "5 of 17 inspected clients are frauds, 23 unknown"


def test_rows_are_shown_as_they_stand_and_as_they_were_understood(checked):
    sample = next(summary for summary in checked.tables if summary.name == "clients").samples[0]
    assert sample.found["Instalação"] == sample.understood["client_id"] == "0000000017"
    assert sample.found["Data Ligação"] == "03/01/2005"
    assert sample.understood["created_on"] == "2005-01-03"
    assert "line 2" in sample.place


def test_what_is_missing_is_said_with_what_it_costs(checked):
    lost = dict(checked.lost)
    assert lost["meter_id"] == "exchanges of meters, meters shared by clients"
    assert "months" not in lost


def test_every_column_that_may_be_missing_has_its_cost():
    filled = {field.name for field in (*CLIENT_FIELDS, *INVOICE_FIELDS) if field.is_filled}
    assert filled == LOST.keys()


def test_the_screen_and_the_page_show_names_and_escape_them(tmp_path):
    clients = [a_client(f"c-{i}", category="<script>alert(1)</script>") for i in range(3)]
    result = check_files([written(tmp_path, clients, [an_invoice(f"c-{i}") for i in range(3)])])
    page = check_page(result, "Files")
    assert "<script>alert(1)" not in page
    assert "category: <script>alert(1)</script> 3" in "\n".join(check_lines(result))


def test_readings_in_wh_cannot_be_used(tmp_path):
    result = check_files([], readings=daily(tmp_path, factor=1000))
    assert result.exit_code == CheckLevel.UNUSABLE
    assert any("Wh" in (finding.line or finding.text) for finding in result.findings)


def test_a_wrong_clock_shows_in_the_hour_of_least_use(tmp_path):
    assert check_files([], readings=daily(tmp_path, hour=3)).exit_code == CheckLevel.FINE
    result = check_files([], readings=daily(tmp_path, hour=14))
    assert result.exit_code == CheckLevel.LOOK
    assert "from 14:00 to 15:00" in result.findings[0].text
    assert 'clock = "UTC"' in result.findings[0].line


def test_totals_of_days_do_not_count_as_use_at_midnight(tmp_path):
    result = check_files([], readings=daily(tmp_path))
    assert result.readings.least_hour is None
    assert not result.readings.hours.any()


def test_indices_that_do_not_fit_what_is_billed_are_found(tmp_path):
    invoices = [
        an_invoice(f"c-{i}", invoice_on=f"2012-{month:02d}-17", consumption_level_1=500, old_index=0, new_index=10)
        for i in range(30)
        for month in range(1, 13, 2)
    ]
    result = check_files([written(tmp_path, [a_client(f"c-{i}") for i in range(30)], invoices)])
    assert any("bill the difference" in finding.text for finding in result.findings)


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path):
    (tmp_path / "invoices.csv").write_text("client_id,invoice_on,consumption\nc-1,the day before,5\n")
    result = check_files([tmp_path])
    assert result.exit_code == CheckLevel.UNUSABLE
    assert any("the day before" in finding.text for finding in result.findings)


def test_a_map_without_a_date_is_a_finding(brazilian):
    data_map = parse_map('[invoices]\nclient_id = "Instalação"\nconsumption = "JAN/2021"\n', "mine.toml")
    result = check_files([brazilian.files], data_map)
    assert result.exit_code == CheckLevel.UNUSABLE
    assert any("invoice_on" in finding.text for finding in result.findings)


def test_findings_and_losses_are_in_the_languages_of_the_desk(tmp_path, checked):
    clients = [a_client(f"c-{i}", label=0) for i in range(3)]
    days = check_files([], readings=daily(tmp_path, hour=14)).findings
    (labels := tmp_path / "labels").mkdir()
    frauds = check_files([written(labels, clients, [an_invoice(f"c-{i}") for i in range(3)])]).findings
    texts = [finding.text for finding in (*days, *frauds) if finding.flag is None]
    texts += [loss for _, loss in checked.lost]
    assert len(texts) > 4
    for language in ("fr", "ar"):
        said = [worded(text, locale_of(language)) for text in texts]
        assert not set(said) & set(texts), language


def test_a_finding_about_a_flag_names_it(tmp_path):
    invoices = [
        an_invoice("c-1", invoice_on=f"2012-{month:02d}-17", old_index=9, new_index=1) for month in range(1, 13)
    ]
    result = check_files([written(tmp_path, [a_client("c-1")], invoices)])
    of_flags = {finding.flag.flag: finding.text for finding in result.findings if finding.flag}
    assert "index_runs_backwards" in of_flags


def test_labels_of_one_kind_are_to_be_looked_at(tmp_path):
    clients = [a_client(f"c-{i}", label=1) for i in range(3)]
    result = check_files([written(tmp_path, clients, [an_invoice(f"c-{i}") for i in range(3)])])
    assert any("nothing but frauds" in finding.text for finding in result.findings)


@pytest.mark.parametrize("by_map", [False, True])
def test_readings_looked_at_in_parts_give_the_same_check(tmp_path, monkeypatch, by_map):
    monkeypatch.setattr(disk, "FAN_OUT", 8)
    monkeypatch.setattr(reading_parts, "FAN_OUT", 8)
    daily(tmp_path, hour=14)
    clients = [a_client(f"h{i}") for i in range(0, 60, 2)]  # some without readings; readings of others left out
    (tmp_path / "clients.csv").write_text(csv_text(clients))
    data_map = parse_map("[readings]\n") if by_map else None
    (tmp_path / "parts").mkdir()
    parts = []
    space = DiskSpace(tmp_path / "parts", 2**19)
    add = ReadingChecks.add
    monkeypatch.setattr(ReadingChecks, "add", lambda self, part: (parts.append(part), add(self, part)))
    names = tmp_path / "clients.csv", None, tmp_path / "readings.csv"
    whole = check_files([], data_map, *names)
    in_parts = check_files([], data_map, *names, space)
    assert len(parts) > 3, "one for the whole, and several"
    assert list(check_lines(in_parts)) == list(check_lines(whole))
    assert in_parts.exit_code == whole.exit_code == CheckLevel.LOOK
    found, expected = in_parts.readings, whole.readings
    assert found.hours == pytest.approx(expected.hours)
    assert sorted(found.daily_kwh) == pytest.approx(sorted(expected.daily_kwh))
    counts = [(r.n, r.n_missing, r.n_registers, r.first_at, r.last_at, r.lengths) for r in (found, expected)]
    assert counts[0] == counts[1]
