"""Files of latest values, read by Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.projects import Project, project

__all__ = ["project"]

TWO = """
    [metrics.visits]
    table = "visits"
    time = "at"
    measure = "sum(n)"
    by = ["plan"]
    [metrics.other]
    table = "other"
    time = "at"
    measure = "sum(n)"
    by = ["plan"]
    [deliveries.values]
    to = "prometheus"
    path = "values.prom"
    metrics = ["visits", "other"]
    by = ["plan"]
"""


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


def families(made: Project) -> dict[str, list[Sample]]:
    text = (made.folder / "values.prom").read_text()
    return {one.name: one.samples for one in text_string_to_metric_families(text)}


def test_an_empty_text_is_another_series_than_null_because_prometheus_takes_an_empty_label_for_none(project):
    made = project(now="2024-03-06T12:00")
    plans = ["", None, "(empty)", "back\\slash", "two\nlines", "\\n"]
    made.table(
        "visits (at timestamp, plan varchar(20), n int)",
        [("2024-03-05 10:00:00", plan, n) for n, plan in enumerate(plans)],
    )
    made.declare(TWO.replace('metrics = ["visits", "other"]', 'metrics = ["visits"]'), start="2024-03-05")
    made.run("visits")
    found = {sample.labels.get("plan"): sample.value for sample in families(made)["tallybook_value_visits"]}
    assert found == {"(empty)": 0, None: 1, "((empty))": 2, "back\\slash": 3, "two\nlines": 4, "\\n": 5}


def test_a_metric_that_is_not_collected_does_not_hold_back_the_values_of_others(project):
    made = project(now="2024-03-05T12:00")
    for name in ("visits", "other"):
        rows = [(f"2024-03-0{day} 10:00:00", "pro", day) for day in (4, 5)]
        made.table(f"{name} (at timestamp, plan varchar(9), n int)", rows)
    made.declare(TWO, start="2024-03-04")
    made.run()
    made.at("2024-03-06T12:00").execute("drop table other")
    assert [one.metric for one in made.book.run().failed] == ["other"]
    found = {name: samples[0].value for name, samples in families(made).items() if "timestamp" not in name}
    assert found == {"tallybook_value_visits": 5, "tallybook_value_other": 4}
