"""Locales of spreadsheets: the format of numbers and dates, and the separator of function arguments."""

from __future__ import annotations

from dataclasses import dataclass

ENGLISH = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
GERMAN = (
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
GERMAN_WEEKDAYS = ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag")


@dataclass(frozen=True)
class Locale:
    """One locale. `order` is the order of day, month and year in dates with `date_marks`. All locales parse ISO
    dates."""

    decimal: str = "."
    thousands: str = ","
    order: str = "mdy"
    date_marks: str = "/-"
    months: tuple[str, ...] = ENGLISH
    weekdays: tuple[str, ...] = WEEKDAYS
    true: str = "TRUE"
    false: str = "FALSE"
    currency: str = "$"
    currency_pattern: str = '"$"#,##0.00'
    date: str = "m/d/yyyy"
    time: str = "h:mm:ss am/pm"

    @property
    def argument_mark(self) -> str:
        """The separator of function arguments: `;` if the comma is the decimal separator."""
        return ";" if self.decimal == "," else ","


LOCALES = {
    "en_US": Locale(),
    "en_GB": Locale(order="dmy", currency="£", currency_pattern='"£"#,##0.00', date="dd/mm/yyyy", time="hh:mm:ss"),
    "de_DE": Locale(
        decimal=",",
        thousands=".",
        order="dmy",
        date_marks="./-",
        months=GERMAN,
        weekdays=GERMAN_WEEKDAYS,
        true="WAHR",
        false="FALSCH",
        currency="€",
        currency_pattern='#,##0.00 "€"',
        date="dd.mm.yyyy",
        time="hh:mm:ss",
    ),
}


def locale(name: str) -> Locale:
    """The locale with that name. American English for an unknown language."""
    if name in LOCALES:
        return LOCALES[name]
    return next(
        (LOCALES[known] for known in LOCALES if known.split("_")[0] == name.split("_", maxsplit=1)[0]), LOCALES["en_US"]
    )
