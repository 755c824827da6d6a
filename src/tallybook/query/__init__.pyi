# The names of this door, for type checkers: those of __init__.py.
from tallybook.query.answers import answer as answer
from tallybook.query.asked_options import (
    options_of_texts as options_of_texts,
    question_options as question_options,
    read_question as read_question,
)
from tallybook.query.behind.coverage import (
    CoverageCalendar as CoverageCalendar,
    coverage_calendars as coverage_calendars,
)
from tallybook.query.behind.described import (
    days_without_value as days_without_value,
    describe_metric as describe_metric,
    describe_metrics as describe_metrics,
)
from tallybook.query.behind.diff import (
    DefinitionDiff as DefinitionDiff,
    DiffRow as DiffRow,
    definition_diffs as definition_diffs,
)
from tallybook.query.behind.filters import unseen_filter_values as unseen_filter_values
from tallybook.query.behind.why import (
    CoverageEvidence as CoverageEvidence,
    DefinitionEvidence as DefinitionEvidence,
    Explanation as Explanation,
    PointsEvidence as PointsEvidence,
    RevisionEvidence as RevisionEvidence,
    RunEvidence as RunEvidence,
    explain as explain,
)
from tallybook.query.board_questions import (
    DEFAULT_LAST as DEFAULT_LAST,
    ViewRange as ViewRange,
    view_questions as view_questions,
    view_range as view_range,
    with_board_filters as with_board_filters,
)
from tallybook.query.compare import with_stored as with_stored
from tallybook.query.context import Coverage as Coverage, QueryContext as QueryContext
from tallybook.query.entity_answers import (
    EntityAnswers as EntityAnswers,
    EntityDetails as EntityDetails,
    EntityList as EntityList,
    entities_of as entities_of,
    entity_details as entity_details,
)
from tallybook.query.entity_export import write_entities as write_entities
from tallybook.query.entity_pages import (
    LAST_SEEN as LAST_SEEN,
    EntityPage as EntityPage,
    common_texts as common_texts,
    entity_page as entity_page,
    seen_among as seen_among,
)
from tallybook.query.entity_snapshots import EntitySnapshots as EntitySnapshots
from tallybook.query.entity_table import (
    shown_column as shown_column,
)
from tallybook.query.event_days import known_event_days as known_event_days, next_push as next_push
from tallybook.query.filter_texts import parse_filter as parse_filter
from tallybook.query.goals import Standing as Standing, standings as standings
from tallybook.query.kept_rows import PeriodRows as PeriodRows, rows_by_metric as rows_by_metric
from tallybook.query.merge import Parts as Parts
from tallybook.query.metric_attributes import (
    MetricValues as MetricValues,
    book_values as book_values,
    metric_values as metric_values,
)
from tallybook.query.older_history import older_histories as older_histories
from tallybook.query.point_relations import TOTALS as TOTALS, Points as Points
from tallybook.query.question import (
    BoundedQuestion as BoundedQuestion,
    Day as Day,
    Question as Question,
    QuestionOptions as QuestionOptions,
    as_day as as_day,
    asked_in_python as asked_in_python,
    keywords_of as keywords_of,
)
from tallybook.query.questions import (
    Query as Query,
    check_question as check_question,
    known_delivery as known_delivery,
    known_metric as known_metric,
    with_range as with_range,
)
from tallybook.query.ranges import ALL as ALL, MAX_GAP_DAYS as MAX_GAP_DAYS, TWO_YEARS as TWO_YEARS, spans as spans
from tallybook.query.reach import clipped as clipped
from tallybook.query.reader import BookReader as BookReader
from tallybook.query.records import (
    BookRecord as BookRecord,
    MetricDescription as MetricDescription,
    MetricDetails as MetricDetails,
    RunRecord as RunRecord,
)
from tallybook.query.row_counts import rows_at_least as rows_at_least
from tallybook.query.segments import (
    QuestionSegment as QuestionSegment,
    parse_segment as parse_segment,
    segments_of as segments_of,
)
from tallybook.query.series_formula import (
    FormulaValue as FormulaValue,
    answer_of_formula as answer_of_formula,
    formula_values as formula_values,
    keeps_its_size as keeps_its_size,
    series_table as series_table,
)
from tallybook.query.service import QueryService as QueryService
from tallybook.query.spelling import (
    errors_in_python_words as errors_in_python_words,
    python_errors as python_errors,
    python_words as python_words,
)
from tallybook.query.steps import Steps as Steps
from tallybook.query.subjects import (
    IS_GONE as IS_GONE,
    Subjects as Subjects,
    SubjectsQuestion as SubjectsQuestion,
    load_subjects as load_subjects,
)
