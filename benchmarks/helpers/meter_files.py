"""Made-up meter data in the formats that utilities exchange.

In:  Curves: a client's values [Wh] at even intervals.
Out: the text, or the bytes, of a file in one of the formats.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np


class Curve(NamedTuple):
    """Values [Wh] of a client from a moment on, one in so many minutes. None is missing.

    estimated: positions of values that were not measured.
    """

    client: str
    start: datetime
    minutes: int
    wh: Sequence[int | None]
    is_fed_in: bool = False
    estimated: frozenset[int] = frozenset()

    def moment(self, position: int) -> datetime:
        return self.start + timedelta(minutes=self.minutes * position)


def random_curves(n_clients: int, n_days: int, minutes: int, seed: int = 1) -> list[Curve]:
    """Curves of clients that use some hundred Wh an interval."""
    wh = np.random.default_rng(seed).gamma(1.5, 5 * minutes, (n_clients, n_days * 24 * 60 // minutes)).astype(int)
    return [Curve(f"{3_000_000_000 + i}", datetime(2025, 1, 1), minutes, row) for i, row in enumerate(wh.tolist())]


def nem12(curves: Sequence[Curve]) -> str:
    """NEM12 of curves of whole days; a day with missing or estimated values has records 400."""
    lines = ["100,NEM12,202501010000,MDP1,RETAILER"]
    for curve in curves:
        suffix = "B1" if curve.is_fed_in else "E1"
        lines.append(f"200,{curve.client},E1B1,1,{suffix},N1,M{curve.client},Wh,{curve.minutes},")
        a_day = 24 * 60 // curve.minutes
        for first in range(0, len(curve.wh), a_day):
            codes = ["N" if curve.wh[i] is None else "E52" if i in curve.estimated else "A"
                     for i in range(first, first + a_day)]  # fmt: skip
            values = ",".join(str(value or 0) for value in curve.wh[first : first + a_day])
            quality = codes[0] if len(set(codes)) == 1 else "V"
            lines.append(f"300,{curve.moment(first):%Y%m%d},{values},{quality},,,20250601120000,20250601130000")
            if quality == "V":
                lines += [f"400,{i},{i},{code},," for i, code in enumerate(codes, 1)]
    return "\n".join([*lines, "900", ""])


def nem13(periods: Sequence[tuple[str, str, datetime, datetime, int, int]]) -> str:
    """NEM13 of (client, direction, from, to, old index, new index) [kWh]."""
    lines = ["100,NEM13,202501010000,MDP1,RETAILER"]
    for client, direction, begin, end, old, new in periods:
        lines.append(
            f"250,{client},11,1,11,11,M{client},{direction},{old},{begin:%Y%m%d%H%M%S},A,,,{new},"
            f"{end:%Y%m%d%H%M%S},A,,,{new - old},kWh,,20250601120000,"
        )
    return "\n".join([*lines, "900", ""])


def espi(curves: Sequence[Curve], tens: int = 0, gas: bool = False) -> str:
    """Green Button XML of curves in UTC; the values are written times 10 to the power of minus `tens`."""
    entries = []
    for i, curve in enumerate(curves):
        point = f"/espi/1_1/resource/UsagePoint/{curve.client}"
        reading, kind = f"{point}/MeterReading/{i}", f"/espi/1_1/resource/ReadingType/{i}"
        flow, uom = 19 if curve.is_fed_in else 1, 169 if gas and i == len(curves) - 1 else 72
        rows = "".join(
            f"<IntervalReading><ReadingQuality><quality>{8 if at in curve.estimated else 17}</quality></ReadingQuality>"
            f"<timePeriod><duration>{curve.minutes * 60}</duration>"
            f"<start>{int(curve.moment(at).replace(tzinfo=UTC).timestamp())}</start></timePeriod>"
            f"<value>{'' if wh is None else round(wh / 10**tens)}</value></IntervalReading>"
            for at, wh in enumerate(curve.wh)
        )
        n_seconds = curve.minutes * 60 * len(curve.wh)
        entries += [
            _entry(point, f"{point[: point.rindex('/')]}", [f"{point}/MeterReading"], "<UsagePoint/>"),
            _entry(reading, f"{point}/MeterReading", [f"{reading}/IntervalBlock", kind], "<MeterReading/>"),
            _entry(f"{reading}/IntervalBlock/0", f"{reading}/IntervalBlock", [], "<IntervalBlock><interval>"
                   f"<duration>{n_seconds}</duration><start>{int(curve.start.replace(tzinfo=UTC).timestamp())}</start>"
                   f"</interval>{rows}</IntervalBlock>"),
            _entry(kind, "/espi/1_1/resource/ReadingType", [], "<ReadingType>"
                   f"<accumulationBehaviour>4</accumulationBehaviour><flowDirection>{flow}</flowDirection>"
                   f"<intervalLength>{curve.minutes * 60}</intervalLength>"
                   f"<powerOfTenMultiplier>{tens}</powerOfTenMultiplier><uom>{uom}</uom></ReadingType>"),
        ]  # fmt: skip
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">'
        f"<id>urn:uuid:0</id>{''.join(entries)}</feed>\n"
    )


def _entry(itself: str, up: str, related: list[str], content: str) -> str:
    links = "".join(f'<link rel="related" href="{href}"/>' for href in related)
    content = content.replace(">", ' xmlns="http://naesb.org/espi">', 1) if content[-2] != "/" else content
    content = content.replace("/>", ' xmlns="http://naesb.org/espi"/>', 1) if content[-2] == "/" else content
    return (
        f'<entry><id>urn:uuid:1</id><link rel="self" href="{itself}"/><link rel="up" href="{up}"/>{links}'
        f"<title/><content>{content}</content></entry>\n"
    )


def mscons(curves: Sequence[Curve], mark: str = ".", function: int = 9, created: str = "202602010000") -> str:
    """MSCONS of curves in UTC [kWh], with the decimal mark that UNA names."""
    segments = [f"UNB+UNOC:3+9900000000001:500+9900000000002:500+260201:0000+R{created}++TL"]
    for i, curve in enumerate(curves):
        segments += [
            f"UNH+{i}+MSCONS:D:04B:UN:2.4c", f"BGM+7+DOC{i}+{function}", f"DTM+137:{created}?+00:303", "UNS+D",
            "NAD+DP", f"LOC+172+{curve.client}", "LIN+1", f"PIA+5+1-1?:{2 if curve.is_fed_in else 1}.29.0:SRW",
        ]  # fmt: skip
        for at, wh in enumerate(curve.wh):
            code = 20 if wh is None else 67 if at in curve.estimated else 220
            segments += [f"QTY+{code}:{(wh or 0) / 1000:.3f}:KWH".replace(".", mark)]
            segments += [f"DTM+{q}:{curve.moment(at + k):%Y%m%d%H%M}?+00:303" for q, k in ((163, 0), (164, 1))]
        segments += [f"UNT+{len(segments)}+{i}"]
    return f"UNA:+{mark}? '" + "".join(f"{segment}'\n" for segment in [*segments, "UNZ+1+R1"])


def enedis_r4x(curve: Curve) -> str:
    """The load curve of a large point [kW], stamped by the start of each interval."""
    points = "".join(
        f'<Donnees_Point_Mesure Horodatage="{curve.moment(at):%Y-%m-%dT%H:%M:%S}+01:00" '
        + ("" if wh is None else f'Valeur_Point="{wh * 60 / curve.minutes / 1000:g}" ')
        + f'Statut_Point="{"E" if at in curve.estimated else "R"}"/>\n'
        for at, wh in enumerate(curve.wh)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Courbe><Entete><Identifiant_Flux>R4x</Identifiant_Flux></Entete>'
        f"<Corps><Identifiant_PRM>{curve.client}</Identifiant_PRM><Donnees_Courbe>"
        f"<Granularite>{curve.minutes}</Granularite><Unite_Mesure>kW</Unite_Mesure>"
        f"<Grandeur_Metier>{'PROD' if curve.is_fed_in else 'CONS'}</Grandeur_Metier>"
        f"<Grandeur_Physique>EA</Grandeur_Physique>{points}</Donnees_Courbe></Corps></Courbe>\n"
    )


def enedis_r50(curves: Sequence[Curve]) -> str:
    """Half-hourly load curves of small points [W], stamped by the end of each interval."""
    points = "".join(
        f"<PRM><Id_PRM>{curve.client}</Id_PRM><Donnees_Releve><Date_Releve>{curve.start:%Y-%m-%d}</Date_Releve>"
        + "".join(
            f"<PDC><H>{curve.moment(at + 1):%Y-%m-%dT%H:%M:%S}+01:00</H>"
            + ("" if wh is None else f"<V>{wh * 2}</V><IV>{int(at in curve.estimated)}</IV>")
            + "</PDC>\n"
            for at, wh in enumerate(curve.wh)
        )
        + "</Donnees_Releve></PRM>"
        for curve in curves
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<R50><En_Tete_Flux><Identifiant_Flux>R50</Identifiant_Flux>'
        f"<Pas_Publication>30</Pas_Publication></En_Tete_Flux>{points}</R50>\n"
    )


def enedis_r151(days: Sequence[tuple[str, datetime, dict[str, int]]], supplier: bool = True) -> str:
    """What small points' meters showed at the end of days: (point, day, {tariff period: Wh})."""
    periods = "<{0}><Id_Classe_Temporelle>{1}</Id_Classe_Temporelle><Valeur>{2}</Valeur></{0}>"
    found = "".join(
        f"<PRM><Id_PRM>{point}</Id_PRM><Donnees_Releve><Date_Releve>{day:%Y-%m-%d}</Date_Releve>"
        + (periods.format("Classe_Temporelle", "BASE", sum(shown.values())) if supplier else "")
        + "".join(periods.format("Classe_Temporelle_Distributeur", *item) for item in shown.items())
        + "<Puissance_Maximale><Valeur>6000</Valeur></Puissance_Maximale></Donnees_Releve></PRM>\n"
        for point, day, shown in days
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<R151><En_Tete_Flux><Identifiant_Flux>R151</Identifiant_Flux>'
        f"</En_Tete_Flux>{found}</R151>\n"
    )


def enedis_r171(series: Sequence[tuple[str, str, str, str, list[tuple[datetime, int]]]]) -> str:
    """What large points' meters showed: (point, grid D or F, tariff period, quantity, (moment, Wh))."""
    found = "".join(
        f"<serieMesuresDatees><prmId>{point}</prmId><type>INDEX</type><grandeurMetier>CONS</grandeurMetier>"
        f"<grandeurPhysique>{quantity}</grandeurPhysique><typeCalendrier>{grid}</typeCalendrier>"
        f"<codeClasseTemporelle>{period}</codeClasseTemporelle><unite>Wh</unite><mesuresDateesListe>"
        + "".join(
            f"<mesureDatee><dateFin>{moment.isoformat()}</dateFin><valeur>{wh}</valeur></mesureDatee>"
            for moment, wh in shown
        )
        + "</mesuresDateesListe></serieMesuresDatees>\n"
        for point, grid, period, quantity, shown in series
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ns2:R171 xmlns:ns2="http://www.enedis.fr/stm/R171"><entete>'
        f"<flux>R171</flux></entete><serieMesuresDateesListe>{found}</serieMesuresDateesListe></ns2:R171>\n"
    )


def dlms(curve: Curve, codes: Sequence[str] = ("1.0.1.8.0.255",), offset: int | None = 0, period: int = 0) -> bytes:
    """A load profile as a meter holds it: what it showed [Wh], after each interval, in each register.

    offset: of the clock from UTC [minutes], None unstated. period: leave out all clocks but the first, and state this
    period [s].
    """
    clock = _structure(_long(8), _octets(bytes([0, 0, 1, 0, 0, 255])), b"\x0f\x02", _long(0))
    registers = [
        _structure(_long(3), _octets(bytes(map(int, code.split(".")))), b"\x0f\x02", _long(0)) for code in codes
    ]
    shown, entries = 0, []
    for at, wh in enumerate(curve.wh):
        shown += wh or 0
        value = b"\x00" if wh is None else b"\x06" + shown.to_bytes(4, "big")
        stamp = b"\x00" if period and at else _octets(_clock(curve.moment(at + 1), offset))
        entries.append(_structure(stamp, *[value] * len(codes)))
    stated = b"\x06" + period.to_bytes(4, "big") if period else b""
    return _array(clock, *registers) + stated + _array(*entries)


def _clock(moment: datetime, offset: int | None) -> bytes:
    deviation = -0x8000 if offset is None else -offset  # from local time to UTC
    day = moment.year.to_bytes(2, "big") + bytes([moment.month, moment.day, 255])
    return (
        day + bytes([moment.hour, moment.minute, moment.second, 0]) + deviation.to_bytes(2, "big", signed=True) + b"\0"
    )


def _long(value: int) -> bytes:
    return b"\x12" + value.to_bytes(2, "big")


def _octets(value: bytes) -> bytes:
    return bytes([9, len(value)]) + value


def _structure(*parts: bytes) -> bytes:
    return bytes([2, len(parts)]) + b"".join(parts)


def _array(*parts: bytes) -> bytes:
    length = bytes([len(parts)]) if len(parts) < 128 else b"\x84" + len(parts).to_bytes(4, "big")
    return b"\x01" + length + b"".join(parts)
