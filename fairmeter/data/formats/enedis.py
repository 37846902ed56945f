"""Enedis's flows of meter data (XML, France) -> RawTables: load curves (R4x, R50), daily meter readings (R151, R171).

In:  R4x <Courbe>, a large point's power, stamped by the start of its interval; R50, small points' power every 30
     minutes, stamped by the end; R151 and R171, what meters showed at the end of a day, in each tariff period.
Out: of curves: point, quantity, direction, unit, minutes, read_at (start of the interval), quality, value, taken,
     fed_in; of meter readings: point, grid, class, direction, unit, read_at, value, taken, fed_in.
     Reactive energy, voltages, maxima, and the supplier's periods beside the distributor's are left out and counted.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from xml.etree.ElementTree import Element

from fairmeter.data.files import TableFile, file_errors
from fairmeter.data.formats.rows import UNITS, RowBuffer
from fairmeter.data.formats.xml_elements import elements_of
from fairmeter.data.layouts.raw_table import RawTable

CURVE_COLUMNS = ("point", "quantity", "direction", "unit", "minutes", "read_at", "quality", "value")
INDEX_COLUMNS = ("point", "grid", "class", "direction", "unit", "read_at", "value")
CLEARED = frozenset({"Donnees_Courbe", "PRM", "serieMesuresDatees"})
R50_MINUTES = 30  # where the file states none
EXPORT_AGAIN = "the file is damaged: download it again"
Add = Callable[[RowBuffer, Element, str], None]  # rows of an element, for the point or the minutes stated above it


def read_enedis(source: TableFile) -> Iterator[RawTable]:
    """Read a load curve, R4x or R50. Raises TableError."""
    rows = RowBuffer(source, CURVE_COLUMNS)
    steps = {"Donnees_Courbe": _add_r4x, "PRM": _add_r50}
    return _read(rows, steps, 'a load curve is R4x or R50; for R151 and R171 write reader = "enedis_index"')


def read_enedis_index(source: TableFile) -> Iterator[RawTable]:
    """Read what meters showed, R151 or R171. Raises TableError."""
    rows = RowBuffer(source, INDEX_COLUMNS)
    steps = {"PRM": _add_r151, "serieMesuresDatees": _add_r171}
    return _read(rows, steps, 'meter readings are R151 or R171; for load curves write reader = "enedis"')


def _read(rows: RowBuffer, steps: dict[str, Add], advice: str) -> Iterator[RawTable]:
    above = ""  # R4x states its point, R50 its minutes, above the values
    with file_errors(rows.source):
        for name, element in elements_of(rows.source, CLEARED):
            if name in ("Identifiant_PRM", "Pas_Publication"):
                above = (element.text or "").strip()
            elif name in steps:
                yield from rows.full()
                steps[name](rows, element, above)
        yield from rows.rest(advice)


def _add_r4x(rows: RowBuffer, curve: Element, point: str) -> None:
    quantity, unit = _text(curve, "Grandeur_Physique"), _text(curve, "Unite_Mesure")
    direction, minutes = _text(curve, "Grandeur_Metier") or "CONS", _text(curve, "Granularite")
    points = curve.findall("Donnees_Point_Mesure")
    if quantity not in ("EA", "") or unit.upper() not in UNITS:
        rows.left_out[f"values of {quantity or 'an unknown quantity'} in {unit or 'no unit'}"] += len(points)
    elif points and not point:
        raise rows.invalid_reading("no Identifiant_PRM above it", EXPORT_AGAIN)
    elif points:
        stamps = [_stamp(rows, found.get("Horodatage", "")) for found in points]
        known = (point, "EA", direction, UNITS[unit.upper()], minutes, stamps)
        qualities, values = ([found.get(name, "") for found in points] for name in ("Statut_Point", "Valeur_Point"))
        rows.add(len(points), None, direction == "PROD", (*known, qualities, values))


def _add_r50(rows: RowBuffer, prm: Element, minutes: str) -> None:
    minutes = minutes if minutes.isdecimal() else str(R50_MINUTES)
    found = prm.findall("Donnees_Releve/PDC")
    if found:
        stamps = [_stamp(rows, _text(pdc, "H"), -int(minutes)) for pdc in found]
        known = (_point_of(rows, prm, "Id_PRM"), "EA", "CONS", "W", minutes, stamps)
        qualities, values = ([_text(pdc, name) for pdc in found] for name in ("IV", "V"))
        rows.add(len(found), None, False, (*known, qualities, values))


def _add_r151(rows: RowBuffer, prm: Element, _: str) -> None:
    for day in prm.findall("Donnees_Releve"):
        of_supplier, of_distributor = (
            day.findall(name) for name in ("Classe_Temporelle", "Classe_Temporelle_Distributeur")
        )
        rows.left_out["maxima"] += len(day.findall("Puissance_Maximale"))
        if of_distributor:
            rows.left_out["values of the supplier's periods"] += len(of_supplier)
        grid, classes = ("D", of_distributor) if of_distributor else ("F", of_supplier)
        if classes:
            end = _stamp(rows, _text(day, "Date_Releve"), 24 * 60)  # what it showed at the end of that day
            names, values = ([_text(found, name) for found in classes] for name in ("Id_Classe_Temporelle", "Valeur"))
            known = (_point_of(rows, prm, "Id_PRM"), grid, names, "CONS", "Wh", end)
            rows.add(len(classes), None, False, (*known, values))


def _add_r171(rows: RowBuffer, series: Element, _: str) -> None:
    found = series.findall("mesuresDateesListe/mesureDatee")
    unit, quantity, grid = (_text(series, name) for name in ("unite", "grandeurPhysique", "typeCalendrier"))
    direction = _text(series, "grandeurMetier") or "CONS"
    if quantity != "EA" or unit.upper() not in UNITS:
        rows.left_out[f"values of {quantity or 'an unknown quantity'} in {unit or 'no unit'}"] += len(found)
    elif grid == "F":
        rows.left_out["values of the supplier's periods"] += len(found)
    elif found:
        stamps, values = ([_text(measure, name) for measure in found] for name in ("dateFin", "valeur"))
        name, point = _text(series, "codeClasseTemporelle"), _point_of(rows, series, "prmId")
        known = (point, grid or "D", name, direction, UNITS[unit.upper()], [_stamp(rows, text) for text in stamps])
        rows.add(len(found), None, direction == "PROD", (*known, values))


def _text(element: Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _point_of(rows: RowBuffer, element: Element, name: str) -> str:
    point = _text(element, name)
    if not point:
        raise rows.invalid_reading(f"no {name} beside it", EXPORT_AGAIN)
    return point


def _stamp(rows: RowBuffer, text: str, minutes: int = 0) -> str:
    try:
        return _moved(text, minutes)
    except ValueError:
        raise rows.invalid_reading(f"{text[:30]!r} is no moment such as 2026-03-07T00:30:00+01:00",
                                   EXPORT_AGAIN) from None  # fmt: skip


@lru_cache(maxsize=2**17)  # the same moments recur at each point
def _moved(text: str, minutes: int) -> str:
    return (datetime.fromisoformat(text) + timedelta(minutes=minutes)).isoformat()
