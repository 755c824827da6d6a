"""Files of latest values, read by Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.projects import project

__all__ = ["project"]


def test_the_last_complete_value_of_each_series_is_exposed(project):
    made = project(now="2024-03-06T12:00")
    made.table(
        "visits (at timestamp, plan varchar(9), n decimal(12,2))",
        [
            ("2024-03-04 10:00:00", "pro", "2"),
            ("2024-03-05 10:00:00", 'a"b', "5.25"),
            ("2024-03-05 10:00:00", None, "1"),
        ],
    )
    made.declare(
        """
        [metrics.visits]
        table = "visits"
        time = "at"
        measure = "sum(n)"
        by = ["plan"]
        [deliveries.values]
        to = "prometheus"
        path = "values.prom"
        metrics = ["visits"]
        by = ["plan"]
        """,
        start="2024-03-04",
    )
    made.run()
    families = {one.name: one for one in text_string_to_metric_families((made.folder / "values.prom").read_text())}
    found = {tuple(sample.labels.items()): sample.value for sample in families["tallybook_value_visits"].samples}
    assert found == {(("plan", 'a"b'),): 5.25, (): 1.0}
    (day,) = families["tallybook_value_visits_period_timestamp_seconds"].samples
    assert day.value == 1709596800
