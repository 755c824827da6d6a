"""A question, how it is answered from points, and the answer."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "answers": ("answer",),
        "behind.coverage": ("CoverageCalendar", "coverage_calendars"),
        "behind.described": ("days_without_value", "describe_metric", "describe_metrics"),
        "behind.diff": ("DefinitionDiff", "DiffRow", "definition_diffs"),
        "behind.filters": ("unseen_filter_values",),
        "older_history": ("older_histories",),
        "behind.why": ("Explanation", "explain"),
        "compare": ("with_stored",),
        "context": ("Coverage", "QueryContext"),
        "entity_answers": ("EntityAnswers", "EntityDetails", "EntityList", "entities_of", "entity_details"),
        "entity_export": ("write_entities",),
        "entity_pages": ("EntityPage", "common_texts", "entity_page"),
        "entity_snapshots": ("EntitySnapshots",),
        "entity_table": ("shown_column",),
        "event_days": ("known_event_days", "next_push"),
        "filter_texts": ("parse_filter",),
        "goals": ("Standing", "standings"),
        "metric_attributes": ("MetricValues", "book_values", "metric_values"),
        "merge": ("Parts",),
        "point_relations": ("Points", "TOTALS"),
        "spelling": ("errors_in_python_words", "python_words"),
        "asked_options": ("options_of_texts", "question_options", "read_question"),
        "question": (
            "BoundedQuestion",
            "Day",
            "EVENT_MEASURES",
            "Question",
            "QuestionAnswers",
            "QuestionOptions",
            "as_day",
            "flat",
            "keywords_of",
        ),
        "questions": (
            "Query",
            "check_question",
            "known_delivery",
            "known_metric",
            "with_range",
        ),
        "ranges": ("ALL", "MAX_GAP_DAYS", "spans"),
        "reach": ("clipped",),
        "reader": ("BookReader",),
        "records": ("BookRecord", "MetricDescription", "MetricDetails", "RunRecord"),
        "segments": ("QuestionSegment", "parse_segment", "segments_of"),
        "service": ("QueryService",),
        "subjects": ("IS_GONE", "Subjects", "SubjectsQuestion", "load_subjects"),
        "steps": ("Steps",),
    },
)
