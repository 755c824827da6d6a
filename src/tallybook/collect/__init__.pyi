# The names of this door, for type checkers: those of __init__.py.
from tallybook.collect.binding import BoundMetric as BoundMetric, bind as bind
from tallybook.collect.clock_skew import (
    fits_zone as fits_zone,
    newest_times as newest_times,
    skew_of as skew_of,
)
from tallybook.collect.daily_run import horizon_of as horizon_of, make_plan as make_plan, run as run
from tallybook.collect.ended import Ended as Ended
from tallybook.collect.event_questions import (
    EventAnswers as EventAnswers,
)
from tallybook.collect.forget import WHAT as WHAT
from tallybook.collect.forgetting import (
    ForgottenMetric as ForgottenMetric,
    ForgottenPerson as ForgottenPerson,
    forget_entity_in as forget_entity_in,
    forget_named as forget_named,
    forget_person_in as forget_person_in,
)
from tallybook.collect.gathering import (
    by_index as by_index,
    gather_days as gather_days,
    gather_intervals as gather_intervals,
)
from tallybook.collect.grouping import INTERVAL_PLAN as INTERVAL_PLAN, group_key as group_key
from tallybook.collect.history.imported import Imported as Imported
from tallybook.collect.history.importing import import_history as import_history
from tallybook.collect.history.request import ImportOptions as ImportOptions, ImportRequest as ImportRequest
from tallybook.collect.housekeeping import compact as compact, keep_house as keep_house
from tallybook.collect.inspecting import inspect_metrics as inspect_metrics, inspect_sources as inspect_sources
from tallybook.collect.inspection import Inspection as Inspection, SourceInspection as SourceInspection
from tallybook.collect.live_answers import LiveAnswers as LiveAnswers
from tallybook.collect.moving import back_up as back_up, move_book as move_book, restore as restore
from tallybook.collect.planning import bind_metric as bind_metric, last_bound as last_bound
from tallybook.collect.plans import KeyedPlan as KeyedPlan
from tallybook.collect.preparing import prepare_run as prepare_run, run_request as run_request
from tallybook.collect.publishing import published as published
from tallybook.collect.report import (
    EntityReport as EntityReport,
    MetricReport as MetricReport,
    OnProgress as OnProgress,
    RunProgress as RunProgress,
    RunReport as RunReport,
)
from tallybook.collect.revise import revisions as revisions
from tallybook.collect.run_context import RunContext as RunContext
from tallybook.collect.sources.base import Reader as Reader, Source as Source
from tallybook.collect.sources.catalog import CatalogTable as CatalogTable
from tallybook.collect.sources.dialect import TimeForm as TimeForm
from tallybook.collect.sources.duckdb import CONFIG as CONFIG, DuckdbSource as DuckdbSource, literal as literal
from tallybook.collect.sources.file import FileSource as FileSource
from tallybook.collect.sources.readings import EPOCHS as EPOCHS, day_of_digits as day_of_digits
from tallybook.collect.sources.registry import (
    close_sources as close_sources,
    open_source as open_source,
)
from tallybook.collect.sources.server import DescribedServer as DescribedServer, ServerSource as ServerSource
from tallybook.collect.sources.values import (
    BOOL as BOOL,
    DATE as DATE,
    DEC as DEC,
    DECLARED as DECLARED,
    FLOAT as FLOAT,
    INT as INT,
    NUMBERS as NUMBERS,
    OTHER as OTHER,
    TEXT as TEXT,
    TIMESTAMP as TIMESTAMP,
    TIMESTAMPTZ as TIMESTAMPTZ,
    ColumnType as ColumnType,
    as_text as as_text,
    text_form as text_form,
)
from tallybook.collect.staging import Staging as Staging
from tallybook.collect.statements import Group as Group
from tallybook.collect.time_forms import (
    TimeColumn as TimeColumn,
    day_of_value as day_of_value,
    time_form as time_form,
)
from tallybook.collect.work import (
    Horizon as Horizon,
    RunPlan as RunPlan,
    RunRequest as RunRequest,
    Work as Work,
)
