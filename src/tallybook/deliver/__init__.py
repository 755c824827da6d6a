"""Keeps declared files and sheets up to date: asks the question of each delivery and brings its destination up to
date."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "deliveries": ("DeliveryContext", "deliver", "shown", "up_to_date_deliveries", "waiting"),
        "destinations.base": ("DeliveryMode", "FileDestination", "OutputSettings"),
        "destinations.excel.update.grids": ("WorkbookPlace", "updated"),
        "destinations.google_sheets.onward": ("name",),
        "destinations.google_sheets.tab": ("OVERVIEW",),
        "destinations.registry": ("kind_of_file", "replacing", "writer_for"),
        "exchange": ("MAX_ANSWER_BYTES", "fetch", "post", "within", "words_of"),
        "past": ("PastAnswers",),
    },
)
