"""Each shipped map of invoices and clients reads made-up rows of its layout to the values worked out by hand."""

# ruff: noqa: E501  rows are as long as the utilities write them
import io

import pytest
import xlsxwriter

from benchmarks.helpers.files import write_files
from fairmeter.data.maps import shipped_maps
from fairmeter.data.maps.map_reader import MapReader
from fairmeter.data.maps.mapped_tables import read_mapped_clients
from fairmeter.data.tables import parse_code
from tests.builders.maps import as_map, base_of, rows_of

NAMES = ("client", "invoice_on", "consumption", "months")


def test_aneel_bdgd_reads_twelve_months_whose_year_is_in_the_files_name(tmp_path):
    months = ";".join(f"ENE_{i:02d}" for i in range(1, 13))
    energies = ";".join(str(10.5 * i) if i != 3 else "" for i in range(1, 13))
    text = (
        f"COD_ID_ENCR;DIST;UNI_TR_MT;MUN;CLAS_SUB;GRU_TAR;DAT_CON;{months};POINT_X;POINT_Y\n"
        f"ab12;380;TR9;3106200;RE1;B1;00/00/0000;{energies};-43.9;-19.9\n"
        f"cd34;380;TR9;3106200;CO1;B3;05/03/2011;{energies};-43.8;-19.8\n"
    )
    base = base_of("aneel_bdgd", write_files(tmp_path, {"CEMIG_2024-12-31_UCBT_tab.csv": text}))
    clients = base.tables.clients
    assert rows_of(clients, "client_id", "created_on", "transformer_id", "latitude", "longitude") == [
        ("ab12", None, "TR9", -19.9, -43.9),
        ("cd34", "2011-03-05", "TR9", -19.8, -43.8),
    ]
    assert [base.tables.code_names.name("category", code) for code in clients["category"]] == ["RE1", "CO1"]
    assert clients["region"].tolist() == [3106200.0, 3106200.0]
    found = rows_of(base.tables.invoices, *NAMES)
    assert len(found) == 22, "an empty cell is no invoice"
    assert found[:3] == [(0, "2024-01-31", 10.5, 1.0), (0, "2024-02-29", 21.0, 1.0), (0, "2024-04-30", 42.0, 1.0)]
    assert set(base.tables.invoices["tariff"][:11]) == {parse_code("B1")}


def test_mint_energie_reads_both_ends_of_a_period_from_one_cell(tmp_path):
    text = '"Category";"HP";"HC"\n"du 22/10/23 au 21/11/23";161;193\n"du 22/11/23 au 21/01/24";;100\n'
    base = base_of("mint_energie", write_files(tmp_path, {"dupont17.csv": text}))
    assert base.tables.clients["client_id"].tolist() == ["dupont17"]
    assert rows_of(base.tables.invoices, *NAMES) == [(0, "2023-11-21", 354.0, 1.0), (0, "2024-01-21", 100.0, 2.0)]


UPPCL = {
    "account_master_1.csv": "ACCT_ID,KNO,DIV_CODE,BOOK_NO,SCNO,NAME,SUPPLY_TYPE,LOAD,LOAD_UNIT,DOC,CON_STATUS\n"
    "0017,1,DIV3,B1,1,A B,LMV1,2,KW,05-MAR-11,C\n0018,1,DIV3,B1,1,C D,LMV2,2,KW,,C\n",
    "bill_sep.csv": "ACCT_ID,SERIAL_NBR,MULTIPLY_FACTOR,METER_STATUS,BILL_DATE,MDI,BILL_BASIS,BILL_TYP,CONSUMPTION,LAST_OK_READING,METER_READ_REMARK,MONTH,YEAR\n"
    "0017,G77,1,OK,05-09-2023,1,MU,NORMAL,150,900,OK,SEP,2023\n"
    "0017,G77,1,OK,20-09-2023,1,MU,REVISED,140,900,OK,SEP,2023\n"  # the later bill replaces
    "0017,G77,1,OK,21-09-2023,1,MU,CANCELLED,999,900,OK,SEP,2023\n"
    "0017,G77,1,OK,05-10-2023,1,MU,NORMAL,130,900,LOCKED,OCT,2023\n"
    "0018,G78,20,DEF,05-09-2023,1,IDF,NORMAL,80,900,OK,SEP,2023\n"
    "0018,G78,20,OK,05-10-2023,1,MU,NORMAL,120,900,OK,OCT,2023\n",
}


def test_uppcl_reads_a_ledger_with_cancelled_and_assessed_bills(tmp_path):
    base = base_of("uppcl", write_files(tmp_path, UPPCL))
    assert rows_of(base.tables.clients, "client_id", "created_on") == [("0017", "2011-03-05"), ("0018", None)]
    # The assessed bill of September is judged together with the read one of October.
    assert rows_of(base.tables.invoices, *NAMES, "coefficient", "is_estimated") == [
        (0, "2023-09-30", 140.0, 1.0, 1.0, False),
        (0, "2023-10-31", 130.0, 1.0, 1.0, False),
        (1, "2023-10-31", 200.0, 2.0, 20.0, True),
    ]
    texts = {flag.flag: flag.n for flag in base.tables.flags}
    assert texts["invoices_rows_dropped"] == 1
    assert texts["superseded_invoices"] == 1
    names = base.tables.code_names
    assert names.name("remark", base.tables.invoices["remark"][1]) == "LOCKED"


def test_prepaid_sales_add_up_to_calendar_months(tmp_path):
    files = {
        "sales_1.csv": "ReceiptNo,TransDate,TransTime,MeterNo,TokenType,TariffIndex,Tendered,DebtTaken,Units,FreeUnits\n"
        "1,03/01/2024,10:00,M1,CREDIT,T1,100,0,30.5,\n2,20/01/2024,10:00,M1,FBE,T1,0,0,,50\n"
        "3,05/04/2024,10:00,M1,CREDIT,T1,100,0,12,0\n4,06/01/2024,10:00,M1,CLEAR_TAMPER,T1,0,0,,\n"
        "5,05/05/2024,10:00,M1,CREDIT,T1,100,0,7,0\n6,05/05/2024,10:00,M9,CREDIT,T1,100,0,7,0\n",
        "meter_history.csv": "SERIAL;ACCOUNT;FITTED;REMOVED\nM1;A17;2020-01-01;2024-05-01\nM1;A18;2024-05-01;\n",
    }
    base = base_of("prepaid_sales", write_files(tmp_path, files))
    assert base.tables.clients["client_id"].tolist() == ["A17", "A18"]
    assert rows_of(base.tables.invoices, *NAMES) == [
        (0, "2024-01-31", 80.5, 1.0),
        (0, "2024-02-29", 0.0, 1.0),
        (0, "2024-03-31", 0.0, 1.0),
        (0, "2024-04-30", 12.0, 1.0),
        (1, "2024-05-31", 7.0, 1.0),
    ]
    texts = {flag.flag: flag.n for flag in base.tables.flags}
    assert texts["invoices_rows_not_kept"] == 1
    assert texts["invoices_rows_not_joined"] == 1


def workbook(rows: list[list]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        sheet = book.add_worksheet()
        for i, row in enumerate(rows):
            sheet.write_row(i, 0, row)
    return buffer.getvalue()


def test_irish_cer_reads_classes_from_a_workbook(tmp_path):
    classes = workbook([["ID", "Code"], [1392, 1], [1951, 2]])
    files = {"SME and Residential allocations.xlsx": classes, "File1.txt": "1392 19503 0.14\n1951 19501 1\n"}
    base = base_of("irish_cer", write_files(tmp_path, files))
    assert rows_of(base.tables.clients, "client_id", "category") == [("1392", 1.0), ("1951", 2.0)]
    assert rows_of(base.readings.readings, "client", "consumption_kwh") == [(0, 0.14), (1, 1.0)]


def test_london_takes_clients_and_readings_from_one_file(tmp_path):
    text = "LCLid,stdorToU,DateTime,KWH/hh (per half hour) ,Acorn,Acorn_grouped\n"
    text += "".join(f"MAC{i},Std,2012-12-12 0{h}:30:00.0000000, 0.5 ,ACORN-{i},x\n" for i in (2, 1) for h in (1, 2))
    clients = read_mapped_clients(MapReader(as_map("london_lcl"), (write_files(tmp_path, {"lcl.csv": text}),)))
    assert clients.table["client_id"].tolist() == ["MAC2", "MAC1"]
    assert [clients.names.name("category", code) for code in clients.table["category"]] == ["ACORN-2", "ACORN-1"]


TESTED = {"aneel_bdgd", "mint_energie", "uppcl", "prepaid_sales", "nem12", "green_button_xml", "mscons"}


def test_every_shipped_map_is_tried_on_rows():
    from tests.unit.data.maps.test_shipped_readings import CASES

    assert set(shipped_maps()) == TESTED | set(CASES)


@pytest.mark.parametrize("text", ["", "# nothing\n", "[files]\n"])
def test_a_map_that_states_nothing_is_empty(text):
    assert as_map(text + "\n").is_empty
