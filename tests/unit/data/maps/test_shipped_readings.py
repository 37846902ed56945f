"""Each shipped map of readings reads made-up rows of its layout to the values worked out by hand."""

# ruff: noqa: E501, RUF001  rows are as the utilities write them
import pytest

from benchmarks.helpers.files import write_files
from fairmeter.data.maps import read_map, shipped_maps
from tests.builders.maps import minutes_of, readings_of

N = None
CASES = {
    "e_distribucion": (  # hours are numbered as time passes: on 2024-03-31 there is no 02:00
        {
            "old.csv": "CUPS;Fecha;Hora;AE_kWh;AS_KWh;AE_AUTOCONS_kWh;REAL/ESTIMADO\n"
            "ES0000000000000017AA1P;30/03/2024;24;0,141;0,2;;R\n"
            "ES0000000000000017AA1P;31/03/2024;2;0,5;;;R\n"
            "ES0000000000000017AA1P;31/03/2024;3;1,5;;;E\n",
            "new.csv": "CUPS;Fecha;Hora;Consumo_kWh;Metodo_obtencion\nES0000000000000018AA1P;27/10/2024;25;0,25;R\n",
        },
        [
            ("ES0000000000000017AA1P", "2024-03-30 23:00", 0.141, 0.2),
            ("ES0000000000000017AA1P", "2024-03-31 01:00", 0.5, N),
            ("ES0000000000000017AA1P", "2024-03-31 03:00", 1.5, N, "estimated"),
            ("ES0000000000000018AA1P", "2024-10-27 23:00", 0.25, N),
        ],
    ),
    "e_redes": (  # 0.4 kW over a quarter hour are 0.1 kWh; 00:00 ends the day before
        {
            "a.csv": "CPE;PT0002000000000017AB\nPotência;6,9\n\n"
            "Data;Hora;Consumo registado (kW);Estado\n2024/01/01;00:15;0.4;Real\n2024/01/02;00:00;0.8;Estimado\n"
        },
        [
            ("PT0002000000000017AB", "2024-01-01 00:00", 0.1),
            ("PT0002000000000017AB", "2024-01-01 23:45", 0.2, "estimated"),
        ],
    ),
    "elhub": (  # the quality 127 counts before 56, whatever the order
        {
            "forbruk.csv": "MålepunktsID,Fra,Til,Navn,Volum,Enhet,Kvalitet,Opprettet\n"
            '707000000000000017,2022-01-01T00:00[Europe/Oslo],2022-01-01T01:00[Europe/Oslo],Volum,"0,312",kWh,127,2022-01-02T08:11[Europe/Oslo]\n'
            '707000000000000017,2022-01-01T00:00[Europe/Oslo],2022-01-01T01:00[Europe/Oslo],Volum,"9,9",kWh,56,2022-01-03T08:11[Europe/Oslo]\n'
            '707000000000000017,2022-01-01T01:00[Europe/Oslo],2022-01-01T02:00[Europe/Oslo],Volum,"1.234,5",kWh,56,2022-01-02T08:11[Europe/Oslo]\n'
            '707000000000000017,2022-01-01T01:00[Europe/Oslo],2022-01-01T02:00[Europe/Oslo],Volum,"2,5",kWh,56,2022-01-04T08:11[Europe/Oslo]\n'
        },
        [
            ("707000000000000017", "2022-01-01 00:00", 0.312),
            ("707000000000000017", "2022-01-01 01:00", 2.5, "estimated"),
        ],
    ),
    "enedis": (  # W over the half hour that the stamp ends; an empty value is missing
        {
            "courbe_17.csv": "Identifiant PRM;Type de donnees;Date de debut;Date de fin;Grandeur physique;Grandeur metier;Etape metier;Unite;Pas en minutes\n"
            "12345678901234;Courbe de charge;01/09/2018;21/08/2020;Energie active;Consommation;Comptage Brut;W;\n"
            "Horodate;Valeur\n2018-12-07T00:30:00+01:00;692\n2018-12-07T01:00:00+01:00;\n2018-12-07T01:30:00+01:00;100\n"
        },
        [
            ("12345678901234", "2018-12-07 00:00", 0.346),
            ("12345678901234", "2018-12-07 00:30", N),
            ("12345678901234", "2018-12-07 01:00", 0.05),
        ],
    ),
    "enedis_sge": (
        {
            "r.csv": "Identifiant PRM;Date de début;Date de fin;Grandeur physique;Grandeur métier;Etape métier;Unité;Horodate;Valeur;Nature;Pas;Indice de vraisemblance;Etat complémentaire\n"
            "10000000000017;2023-03-13 00:00:00;2025-03-13 00:00:00;PA;CONS;BRUT;W;2023-03-13 00:30:00;692;B;PT30M;0;0\n"
            "10000000000017;2023-03-13 00:00:00;2025-03-13 00:00:00;PA;CONS;BRUT;W;2023-03-13 00:40:00;600;H;PT10M;0;0\n"
            "10000000000017;2023-03-13 00:00:00;2025-03-13 00:00:00;PA;PROD;BRUT;W;2023-03-13 00:30:00;500;B;PT30M;0;0\n"
        },
        [("10000000000017", "2023-03-13 00:00", 0.346), ("10000000000017", "2023-03-13 00:30", 0.1, "estimated")],
    ),
    "eloverblik": (
        {
            "Meterdata.csv": "\ufeffMålepunktsID;Fra_dato;Til_dato;Mængde;Måleenhed;Kvalitet;Type\n"
            "570000000000000017;01-01-2023 00:00:00;01-01-2023 01:00:00;0,11;KWH;Målt;Tidsserie\n"
            "570000000000000017;01-01-2023 01:00:00;01-01-2023 02:00:00;0,12;KWH;Estimeret;Tidsserie\n"
        },
        [("570000000000000017", "2023-01-01 00:00", 0.11), ("570000000000000017", "2023-01-01 01:00", 0.12, "estimated")],
    ),
    "esb_networks": (  # newest first; an export without import of the same half hour stays
        {
            "HDF_kW_10000000017_31-12-2024.csv": "MPRN,Meter Serial Number,Read Value,Read Type,Read Date and End Time\n"
            "10000000017,30000017,0.2,Active Export Interval (kW),31-12-2024 01:00\n"
            "10000000017,30000017,0.423,Active Import Interval (kW),31-12-2024 00:30\n"
            "10000000017,30000017,0.1,Active Export Interval (kW),31-12-2024 00:30\n"
            "10000000017,30000017,0.5,Active Import Interval (kW),31-12-2024 00:00\n"
        },
        [
            ("10000000017", "2024-12-30 23:30", 0.25, N),
            ("10000000017", "2024-12-31 00:00", 0.2115, 0.05),
            ("10000000017", "2024-12-31 00:30", N, 0.1),
        ],
    ),
    "green_button_csv": (
        {
            "a.csv": 'Name,A. CLIENT\nAddress,"1 Main St, CA"\nAccount Number,1234567890\nService,Service 1\n\n'
            "TYPE,DATE,START TIME,END TIME,USAGE,UNITS,COST,NOTES\n"
            "Electric usage,2022-12-01,00:00,00:29,0.16,kWh,$0.02,\nElectric usage,2022-12-01,00:30,00:59,0.2,kWh,$0.02,\n",
            "b.csv": 'Name,B. CLIENT\nAccount Number,"777"\n\nTYPE,DATE,START TIME,END TIME,IMPORT (kWh),EXPORT (kWh),COST,NOTES\n'
            "Electric usage,2022-12-01,00:00,00:59,1.5,0,$0.02,\nGas usage,2022-12-01,00:00,00:59,9,0,$1,\n",
        },
        [
            ("1234567890", "2022-12-01 00:00", 0.16),
            ("1234567890", "2022-12-01 00:30", 0.2),
            ("777", "2022-12-01 00:00", 1.5),
        ],
    ),
    "fluvius": (  # day and night registers are added; the second download repeats a row; injection is export
        {
            "jan.csv": "\ufeffVan (datum);Van (tijdstip);Tot (datum);Tot (tijdstip);EAN-code;Meter;Metertype;Register;Volume;Eenheid;Validatiestatus;Omschrijving\n"
            '02-09-2025;00:00:00;02-09-2025;00:15:00;="540000000000000017";1AAA;Digitale meter;Afname Nacht;0,065;kWh;Uitgelezen;\n'
            '02-09-2025;00:00:00;02-09-2025;00:15:00;="540000000000000017";1AAA;Digitale meter;Afname Dag;0,5;kWh;Uitgelezen;\n'
            '02-09-2025;00:00:00;02-09-2025;00:15:00;="540000000000000017";1AAA;Digitale meter;Injectie Nacht;0,25;kWh;Uitgelezen;\n'
            '02-09-2025;00:15:00;02-09-2025;00:30:00;="540000000000000017";1AAA;Digitale meter;Afname Nacht;;kWh;Geen verbruik;\n',
            "feb.csv": "Van (datum);Van (tijdstip);Tot (datum);Tot (tijdstip);EAN-code;Meter;Metertype;Register;Volume;Eenheid;Validatiestatus;Omschrijving\n"
            '02-09-2025;00:00:00;02-09-2025;00:15:00;="540000000000000017";1AAA;Digitale meter;Afname Nacht;0,065;kWh;Uitgelezen;\n'
            '02-09-2025;00:30:00;02-09-2025;00:45:00;="540000000000000017";1AAA;Digitale meter;Afname Nacht;0,1;kWh;Geschat;\n',
        },
        [
            ("540000000000000017", "2025-09-02 00:00", 0.565, 0.25),
            ("540000000000000017", "2025-09-02 00:15", N, N),
            ("540000000000000017", "2025-09-02 00:30", 0.1, N, "estimated"),
        ],
    ),
    "head_end_registers": (  # UTC to Kolkata (+05:30); day and night differences added, x scaler x ratio
        {
            "registers_1.csv": "MeterSerial|CaptureTime|OBIS|Value|Scaler|Unit|Status\n"
            "M1|2024-05-31 18:30:00|1-0:1.8.1.255|1000|-3|kWh|00\n"
            "M1|2024-05-31 19:30:00|1-0:1.8.1.255|1500|-3|kWh|00\n"
            "M1|2024-05-31 18:30:00|1-0:1.8.2.255|200|-3|kWh|00\n"
            "M1|2024-05-31 19:30:00|1-0:1.8.2.255|300|-3|kWh|00\n"
            "M1|2024-05-31 20:30:00|1-0:1.8.1.255|2500|-3|kWh|00\n"
            "M1|2024-05-31 20:30:00|1-0:1.8.2.255|500|-3|kWh|08\n"
            "M1|2024-05-31 20:30:00|1-0:2.8.0.255|7|-3|kWh|00\n",
            "installations.csv": "SERIAL;CONTRACT;FITTED_ON;REMOVED_ON;CT_RATIO\nM1;K17;01.01.2024;;40\nM1;K9;01.01.2020;01.01.2024;40\n",
        },
        [("K17", "2024-06-01 00:00", 24.0), ("K17", "2024-06-01 01:00", 40.0)],
    ),
    "home_assistant": (  # what stands at 03:00 was read at 04:00: 20 kWh are those of 03:00 to 04:00
        {
            "house_17.tsv": "statistic_id\tstart\tunit\tsum\tstate\tdelta\n"
            "sensor.imported_energy\t17.03.2024 02:00\tkWh\t130\t130\t30\n"
            "sensor.imported_energy\t17.03.2024 03:00\tkWh\t150\t150\t20\n"
            "sensor.imported_energy\t17.03.2024 04:00\tkWh\t150.5\t150\t0.5\n"
            "sensor.temperature\t17.03.2024 03:00\t°C\t9\t9\t\n"
        },
        [("house_17", "2024-03-17 03:00", 20.0), ("house_17", "2024-03-17 04:00", 0.5)],
    ),
    "irish_cer": (  # day 195 is 14 July 2009; slot 3 begins at 01:00
        {"File1.txt": "1392 19503 0.14\n1392 19504 0.2\n1951 19501 1\n"},
        [("1392", "2009-07-14 01:00", 0.14), ("1392", "2009-07-14 01:30", 0.2), ("1951", "2009-07-14 00:00", 1.0)],
    ),
    "london_lcl": (  # GMT all year: 00:30 in July is 01:30 on the wall
        {
            "lcl.csv": "LCLid,stdorToU,DateTime,KWH/hh (per half hour) ,Acorn,Acorn_grouped\n"
            "invented-17,Std,2012-12-12 00:30:00.0000000, 0.5 ,ACORN-A,Affluent\n"
            "invented-17,Std,2012-12-18 15:13:41.0000000,Null,ACORN-A,Affluent\n"
            "invented-17,Std,2013-07-01 00:30:00.0000000, 0 ,ACORN-A,Affluent\n"
        },
        [
            ("invented-17", "2012-12-12 00:30", 0.5),
            ("invented-17", "2012-12-18 15:13", N),
            ("invented-17", "2013-07-01 01:30", 0.0),
        ],
    ),
    "n3rgy": (  # UTC at the end of the half hour
        {"x_1234567890123.csv": "timestamp (UTC),energyConsumption (kWh)\n2023-06-01 00:30,0.231\n2023-06-01 01:00,16777.215\n2023-01-01 00:30,0.5\n"},
        [
            ("1234567890123", "2023-01-01 00:00", 0.5),
            ("1234567890123", "2023-06-01 01:00", 0.231),
            ("1234567890123", "2023-06-01 01:30", N),
        ],
    ),
    "netz_noe": (
        {
            "AT0020000000000000000000000000017.csv": "Messzeitpunkt;Verbrauch (kWh);Qualität;Restnetzbezug (kWh);Qualität EG\n"
            "01.01.2025 00:15;0,063000;L1;;;;;;;;;\n02.01.2025 00:00;0,1;L2;;;;;;;;;\n"
        },
        [
            ("AT0020000000000000000000000000017", "2025-01-01 00:00", 0.063),
            ("AT0020000000000000000000000000017", "2025-01-01 23:45", 0.1, "estimated"),
        ],
    ),
    "octopus": (
        {
            "house17/jan.csv": "Consumption (kwh), Estimated Cost Inc. Tax (p), Standing Charge Inc. Tax (p), Start, End\n"
            "0.108000,0.75,1.12,2024-07-01T01:00:00+01:00,2024-07-01T01:30:00+01:00\n"
            "0.2,0.75,1.12,2024-01-01T01:00:00+00:00,2024-01-01T01:30:00+00:00\n"
        },
        [("house17", "2024-01-01 01:00", 0.2), ("house17", "2024-07-01 01:00", 0.108)],
    ),
    "sce": (
        {
            "a.csv": 'Energy Usage Information\n"For location: 1 Main St"\nMeter Reading Information\n"Type of readings: Electricity"\n\n'
            "Energy consumption time period,Usage(Real energy in kilowatt-hours),Reading quality\n"
            '"2017-09-01 23:00:00 to 2017-09-02 00:00:00","0.480",""\n'
        },
        [("1 Main St", "2017-09-01 23:00", 0.48)],
    ),
    "sdge": (
        {
            "old.csv": "Name,A\nAddress,1 Main\nMeter Number,12341234\n\nMeter Number,Date,Start Time,Duration,Consumption,Generation,Net\n"
            '"00000017","11/1/2022","12:00 AM","60","0.2200","","0.2200"\n"00000017","11/1/2022","12:30 PM","60","0.3","0.1","0.2"\n',
            "new.csv": "Meter Number,Date,Start Time,Duration,Consumed\n00000018,2/13/2024,1:00:00 PM,60,0.5\n",
        },
        [
            ("00000017", "2022-11-01 00:00", 0.22, N),
            ("00000017", "2022-11-01 12:30", 0.3, 0.1),
            ("00000018", "2024-02-13 13:00", 0.5, N),
        ],
    ),
    "smart_meter_texas": (  # the revision of 8 May replaces
        {
            "IntervalData.csv": "ESIID,USAGE_DATE,REVISION_DATE,USAGE_START_TIME,USAGE_END_TIME,USAGE_KWH,ESTIMATED_ACTUAL,CONSUMPTION_SURPLUSGENERATION\n"
            "'1234567890,05/06/2026,05/07/2026 07:40:29, 00:00, 00:15,0.859,A,Consumption\n"
            "'1234567890,05/06/2026,05/08/2026 07:40:29, 00:00, 00:15,0.9,A,Consumption\n"
            "'1234567890,05/06/2026,05/07/2026 07:40:29, 00:15, 00:30,0.1,E,Consumption\n"
            "'1234567890,05/06/2026,05/07/2026 07:40:29, 00:00, 00:15,0.3,A,Surplus Generation\n"
        },
        [("1234567890", "2026-05-06 00:00", 0.9, 0.3), ("1234567890", "2026-05-06 00:15", 0.1, N, "estimated")],
    ),
    "tohoku": (
        {"a_0123456789012345678901.csv": "日付,0:00～0:30,0:30～1:00,23:30～24:00\n2024/04/01,0.1,0.2,\n2024/04/02,0.4,,0.6\n".encode("cp932")},
        [
            ("0123456789012345678901", "2024-04-01 00:00", 0.1),
            ("0123456789012345678901", "2024-04-01 00:30", 0.2),
            ("0123456789012345678901", "2024-04-02 00:00", 0.4),
            ("0123456789012345678901", "2024-04-02 23:30", 0.6),
        ],
    ),
    "uci_ld2011_2014": (  # kW at the end of a quarter hour
        {"LD2011_2014.txt": '"";"MT_001";"MT_002"\n"2011-01-01 00:15:00";2;0\n"2011-01-02 00:00:00";0,5;4\n'},
        [
            ("MT_001", "2011-01-01 00:00", 0.5),
            ("MT_001", "2011-01-01 23:45", 0.125),
            ("MT_002", "2011-01-01 00:00", 0.0),
            ("MT_002", "2011-01-01 23:45", 1.0),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "files", "expected"), [(n, *case) for n, case in CASES.items()], ids=CASES)
def test_a_shipped_map_reads_its_layout(name, files, expected, tmp_path):
    assert readings_of(name, write_files(tmp_path, files)) == expected


def test_powers_state_the_length_of_their_intervals(tmp_path):
    assert minutes_of("enedis_sge", write_files(tmp_path, CASES["enedis_sge"][0])) == [30.0, 10.0]
    files = write_files(tmp_path / "uci", CASES["uci_ld2011_2014"][0])
    assert minutes_of("uci_ld2011_2014", files) == [15.0] * 4


@pytest.mark.parametrize("name", shipped_maps())
def test_every_shipped_map_is_a_map(name):
    assert read_map(name).name == f"{name}.toml"
