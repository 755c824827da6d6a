"""Oracle (oracledb, which needs no Oracle client). A lower-case name is a name without quotes, which Oracle stores in
upper case. A snapshot is SET TRANSACTION READ ONLY. In Oracle an empty text is NULL, and a DATE has a time of day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, ClassVar

from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.server import DescribedServer
from tallybook.collect.sources.values import BYTES, FLOAT, TEXT, TIMESTAMP, TIMESTAMPTZ, ColumnType
from tallybook.collect.sources.warehouse import TransactionSource
from tallybook.core import UNTESTED, SourceKind

_ANY_SCALE = -127


class OracleSource(DescribedServer, TransactionSource):
    kind = SourceKind(
        name="oracle",
        title="Oracle",
        schemes=("oracle",),
        dialect="oracle",
        extra="oracle",
        policies=True,
        experimental=UNTESTED,
        example="oracle://USER:PASSWORD@HOST/?service_name=NAME",
    )
    drivername = "oracle+oracledb"
    folds_to_upper = True
    has_indexes = True
    clock = "SELECT SYS_EXTRACT_UTC(SYSTIMESTAMP) FROM DUAL"
    took_long = "DPY-4024|DPI-1067|ORA-01013|call timeout"
    missing = "ORA-00942|ORA-00904|ORA-04043"
    denied = "ORA-01031|ORA-41900"
    lost = "DPY-|ORA-03113|ORA-03114|ORA-12|ORA-00028"
    hex = "LOWER(RAWTOHEX({}))"
    exactly = "{} COLLATE BINARY"
    moment = "TO_CHAR({}, 'YYYY-MM-DD HH24:MI:SS.FF9')"
    instant = "TO_CHAR(SYS_EXTRACT_UTC({}), 'YYYY-MM-DD HH24:MI:SS.FF9')"
    double = "BINARY_DOUBLE"
    kinds: ClassVar = {
        "varchar2": TEXT,
        "nvarchar2": TEXT,
        "binary_double": FLOAT,
        "binary_float": FLOAT,
        "raw": BYTES,
        "date": TIMESTAMP,
        "timestamp": TIMESTAMP,
        "timestamp_tz": TIMESTAMPTZ,
        "timestamp_ltz": TIMESTAMPTZ,
    }

    policy_query = (
        "SELECT OBJECT_OWNER || '.' || OBJECT_NAME FROM ALL_POLICIES WHERE ENABLE = 'YES' AND SEL = 'YES' "
        "AND SYS_CONTEXT('USERENV', 'SESSION_USER') <> 'SYS'"
    )
    view_query = "SELECT VIEW_NAME, TEXT_VC FROM ALL_VIEWS WHERE TEXT_VC IS NOT NULL AND OWNER <> 'SYS'"

    def prepare(self) -> Sequence[str]:
        formats = (
            "NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS' NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9' "
            "NLS_NUMERIC_CHARACTERS = '.,'"
        )
        return "ALTER SESSION SET TIME_ZONE = 'UTC'", f"ALTER SESSION SET NLS_COMP = BINARY NLS_SORT = BINARY {formats}"

    def begin(self) -> Sequence[str]:
        return ("SET TRANSACTION READ ONLY",)

    def _connect(self) -> Any:
        raw = super()._connect()
        raw.call_timeout = int(self.settings.statement_timeout * 1000)
        raw.outputtypehandler = _exact
        return raw

    def describe(self, cursor: Any) -> list[ColumnType]:
        return [self.type_of(_name(column)) for column in cursor.description]

    # -- SQL -----------------------------------------------------------------------------------

    def limited(self, select: str, rows: int) -> str:
        return f"{select} FETCH FIRST {rows} ROWS ONLY"

    def fetched_time(self, expression: str, form: TimeForm) -> str:
        # The driver drops the zone and keeps the local time.
        return f"SYS_EXTRACT_UTC({expression})" if form.name == "instant" else expression

    def text(self, expression: str, type_: ColumnType) -> str:
        if type_.declared == "date":
            return f"TO_CHAR({expression}, 'YYYY-MM-DD HH24:MI:SS')"
        return super().text(expression, type_)

    def as_value(self, condition: str) -> str:
        return f"CASE WHEN {condition} THEN 1 END"

    def grouping(self, place: int, expression: str) -> list[str]:
        return [] if expression.isdigit() else [expression]

    def decimal(self, scale: int) -> str:
        return f"NUMBER(38, {scale})"

    def instant_literal(self, instant: datetime) -> str:
        return f"TIMESTAMP '{instant:%Y-%m-%d %H:%M:%S} +00:00'"

    def naive_literal(self, naive: datetime) -> str:
        # A DATE literal. Compared with a TIMESTAMP literal, every DATE of the column would be converted, without its
        # index.
        return f"TO_DATE('{naive:%Y-%m-%d %H:%M:%S}', 'YYYY-MM-DD HH24:MI:SS')"

    def date_literal(self, day: date) -> str:
        return self.naive_literal(datetime(day.year, day.month, day.day))


def _exact(cursor: Any, metadata: Any) -> Any:
    """Fetch NUMBER as Decimal. By default the driver returns floats."""
    from decimal import Decimal

    if _name(metadata).startswith("number"):
        return cursor.var(Decimal, arraysize=cursor.arraysize)
    return None


def _name(column: Any) -> str:
    """The name of a column's type, such as number(12,2) for DB_TYPE_NUMBER with precision and scale."""
    name = str(getattr(column[1], "name", column[1])).removeprefix("DB_TYPE_").lower()
    precision, scale = column[4], column[5]
    if name != "number" or not precision or scale == _ANY_SCALE:
        return {"varchar": "varchar2", "nchar": "nvarchar2"}.get(name, name)
    return f"number({precision},{max(scale or 0, 0)})"
