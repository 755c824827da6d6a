"""A day whose rows disappear after they were sent: receivers get corrections, once, and not because a day is missing."""

from __future__ import annotations

from tests.deliver.test_gainsight_px import EVENTS, calling, px
from tests.deliver.test_webhooks import hooked
from tests.projects import project
from tests.receivers import Web

__all__ = ["project", "px"]


def test_a_day_that_loses_all_its_rows_is_corrected_at_the_receiver(project):
    with Web() as web:
        made = hooked(project, web)
        made.run()
        web.posts.clear()
        made.execute("delete from visits where at >= '2024-03-05' and at < '2024-03-06'")
        made.run()
        found = [(b["type"], b["data"]["period"], b["data"]["value"], b["data"]["previous"]) for _, b in web.posts]
        assert sorted(found, key=str) == [
            ("metric.corrected", "2024-03-05", None, 1),
            ("metric.corrected", "2024-03-05", None, 5),
        ]
        web.posts.clear()
        made.run()
        assert web.posts == []
        made.insert("visits", [("2024-03-05 12:00:00", "free", 4)])
        made.run()
        assert [body["data"]["value"] for _, body in web.posts] == [4]


def test_an_event_of_a_day_that_loses_all_its_rows_is_corrected(project, px):
    made = calling(project, px, EVENTS + 'restated = "event"\n')
    made.run()
    made.execute("delete from calls where at >= '2024-03-05'")
    made.run()
    made.run()
    corrected = [(one["eventName"], one["attributes"]["day"], one["attributes"]) for one in px.events[4:]]
    assert [(name, day) for name, day, _ in corrected] == [("dailyApiCalls.corrected", "2024-03-05")]
    assert corrected[0][2]["apiCalls_before"] == 7
    assert "apiCalls" not in corrected[0][2]


def test_a_day_that_another_definition_has_not_collected_yet_is_no_correction(project):
    with Web() as web:
        made = hooked(project, web)
        made.run()
        web.posts.clear()
        toml = made.folder / "tallybook.toml"
        toml.write_text(toml.read_text().replace("sum(n)", "sum(n * 2)"))
        made.close()
        assert [one.error for one in made.book.deliver()] == [None]
        assert web.posts == []
