# The names of this door, for type checkers: those of __init__.py.
from tallybook.core.adapters.destinations import (
    DELIVER as DELIVER,
    DESTINATIONS as DESTINATIONS,
    EXPORT as EXPORT,
    QUERY as QUERY,
    DestinationKind as DestinationKind,
    OptionProblem as OptionProblem,
    destination_kinds as destination_kinds,
    known_destination as known_destination,
)
from tallybook.core.adapters.engines import (
    EngineKind as EngineKind,
)
from tallybook.core.adapters.protocols import PROTOCOLS as PROTOCOLS, ProtocolKind as ProtocolKind
from tallybook.core.adapters.registry import (
    AdapterError as AdapterError,
    Option as Option,
)
from tallybook.core.adapters.schedulers import (
    SCHEDULERS as SCHEDULERS,
    SchedulerKind as SchedulerKind,
)
from tallybook.core.adapters.sources import (
    REGISTRY as REGISTRY,
    UNTESTED as UNTESTED,
    SourceKind as SourceKind,
    UrlRules as UrlRules,
    kind_of as kind_of,
    plain_value as plain_value,
    scheme_of as scheme_of,
)
from tallybook.core.addresses import (
    is_loopback as is_loopback,
    is_service as is_service,
    spreadsheet_id as spreadsheet_id,
    webhook_key as webhook_key,
    wrong_receiver as wrong_receiver,
)
from tallybook.core.arrow import (
    INSTANT_TYPE as INSTANT_TYPE,
    ArrowColumn as ArrowColumn,
    ArrowTable as ArrowTable,
    arrow_column as arrow_column,
    arrow_constant as arrow_constant,
)
from tallybook.core.calendar import (
    DAYS as DAYS,
    MONTHS as MONTHS,
    ONE_DAY as ONE_DAY,
    Period as Period,
    day_of as day_of,
    days as days,
    end_of as end_of,
    merge_stretches as merge_stretches,
    months_before as months_before,
    next_period as next_period,
    parse_span as parse_span,
    plus_days as plus_days,
    start_of as start_of,
    stretches as stretches,
    subtract_stretches as subtract_stretches,
    utc_text as utc_text,
    zone as zone,
)
from tallybook.core.declarations.alerts import (
    ALERT_KINDS as ALERT_KINDS,
    AlertSettings as AlertSettings,
)
from tallybook.core.declarations.book import (
    WEEKDAYS as WEEKDAYS,
    BookSettings as BookSettings,
    ScheduleSettings as ScheduleSettings,
    ServeSettings as ServeSettings,
)
from tallybook.core.declarations.catalog import (
    RESERVED_NAMES as RESERVED_NAMES,
    Catalog as Catalog,
)
from tallybook.core.declarations.deliveries import (
    LAYOUTS as LAYOUTS,
    Delivery as Delivery,
)
from tallybook.core.declarations.entities import EntitySettings as EntitySettings, MetricAttribute as MetricAttribute
from tallybook.core.declarations.events import (
    DEFAULT_EVENTS as DEFAULT_EVENTS,
    DEFAULT_RULES as DEFAULT_RULES,
    EVENTS_SOURCE as EVENTS_SOURCE,
    EVERY_DAY as EVERY_DAY,
    NAIVE_TIMES as NAIVE_TIMES,
    SCHEMA_MODES as SCHEMA_MODES,
    WORKDAYS as WORKDAYS,
    EventDeclaration as EventDeclaration,
    EventLimits as EventLimits,
    EventRules as EventRules,
    EventSettings as EventSettings,
)
from tallybook.core.declarations.goals import (
    GOAL_SCOPES as GOAL_SCOPES,
    Goal as Goal,
)
from tallybook.core.declarations.metrics import (
    FILTER as FILTER,
    FLOW as FLOW,
    IMPORTED as IMPORTED,
    KINDS as KINDS,
    LEVEL as LEVEL,
    STORED_FORMS as STORED_FORMS,
    UNIQUES as UNIQUES,
    Join as Join,
    Metric as Metric,
)
from tallybook.core.declarations.pages import (
    CHART_FORMS as CHART_FORMS,
    EVENT_MEASURES as EVENT_MEASURES,
    EVERY_SERIES as EVERY_SERIES,
    HIGHER as HIGHER,
    LOWER as LOWER,
    SERIES_LETTERS as SERIES_LETTERS,
    Board as Board,
    BoardSeries as BoardSeries,
    BoardView as BoardView,
    Note as Note,
    split_segment as split_segment,
)
from tallybook.core.declarations.rules import (
    BOOK_ENTITY as BOOK_ENTITY,
    DELETE_ROW as DELETE_ROW,
    ENTER as ENTER,
    EVER as EVER,
    EVERY_TIME as EVERY_TIME,
    LEAVE as LEAVE,
    MARK_ROW as MARK_ROW,
    MESSAGE_KINDS as MESSAGE_KINDS,
    MESSAGE_SHOWS as MESSAGE_SHOWS,
    ROW_LEAVES as ROW_LEAVES,
    RULE_EDGES as RULE_EDGES,
    RULE_SUBJECTS as RULE_SUBJECTS,
    SUBJECT_BOOK as SUBJECT_BOOK,
    SUBJECT_KINDS as SUBJECT_KINDS,
    TO_MESSAGE as TO_MESSAGE,
    TO_PX as TO_PX,
    TO_TABLE as TO_TABLE,
    InAppMessage as InAppMessage,
    OncePer as OncePer,
    Rule as Rule,
    RuleAction as RuleAction,
)
from tallybook.core.declarations.sources import (
    APPLY as APPLY,
    POLICIES as POLICIES,
    SourceSettings as SourceSettings,
)
from tallybook.core.declarations.stored import (
    ADDS as ADDS,
    AS_STORED as AS_STORED,
    DAY as DAY,
    BoundSlot as BoundSlot,
    StoredDefinition as StoredDefinition,
)
from tallybook.core.declarations.table_names import (
    schema_and_table as schema_and_table,
    table_parts as table_parts,
    written_table as written_table,
)
from tallybook.core.decoding import json_decoder as json_decoder, msgpack_decoder as msgpack_decoder
from tallybook.core.entities import (
    ACCOUNTS as ACCOUNTS,
    ADD as ADD,
    ATTRIBUTE_DIMENSION as ATTRIBUTE_DIMENSION,
    ENTITY_COLUMNS as ENTITY_COLUMNS,
    ENTITY_FUTURE as ENTITY_FUTURE,
    ENTITY_KINDS as ENTITY_KINDS,
    MAX_ATTRIBUTE_NAME as MAX_ATTRIBUTE_NAME,
    MAX_ATTRIBUTES as MAX_ATTRIBUTES,
    PUSHED as PUSHED,
    SET as SET,
    SET_ONCE as SET_ONCE,
    SETTLED_AFTER as SETTLED_AFTER,
    UNSET as UNSET,
    USERS as USERS,
    AttributeChange as AttributeChange,
    PushedAttribute as PushedAttribute,
    are_near as are_near,
)
from tallybook.core.errors import (
    BUG as BUG,
    DONE as DONE,
    NOT_READY as NOT_READY,
    SOME_FAILED as SOME_FAILED,
    USAGE as USAGE,
    BookError as BookError,
    BookUnavailable as BookUnavailable,
    Busy as Busy,
    CellError as CellError,
    DeclarationError as DeclarationError,
    DestinationError as DestinationError,
    DestinationRefused as DestinationRefused,
    DestinationUnavailable as DestinationUnavailable,
    EventsLost as EventsLost,
    Inseparable as Inseparable,
    MeasureError as MeasureError,
    NotFinite as NotFinite,
    OutcomeUnknown as OutcomeUnknown,
    Overtaken as Overtaken,
    Problem as Problem,
    Problems as Problems,
    QueryError as QueryError,
    Refused as Refused,
    SignInError as SignInError,
    SourceError as SourceError,
    SourceUnavailable as SourceUnavailable,
    TallybookError as TallybookError,
    Unforeseen as Unforeseen,
    bug_report as bug_report,
    describe_error as describe_error,
    system_error as system_error,
)
from tallybook.core.events import (
    COMMIT_COLUMN as COMMIT_COLUMN,
    EVENT_COLUMNS as EVENT_COLUMNS,
    EVENT_TYPES as EVENT_TYPES,
    FLAG_VALUE as FLAG_VALUE,
    INSTANT_VALUE as INSTANT_VALUE,
    INTEGER_VALUE as INTEGER_VALUE,
    MAX_EVENT_BYTES as MAX_EVENT_BYTES,
    MAX_EVENTS as MAX_EVENTS,
    MAX_ID as MAX_ID,
    MAX_INTEGER as MAX_INTEGER,
    MAX_KEY as MAX_KEY,
    MAX_NAME as MAX_NAME,
    MAX_PROPERTIES as MAX_PROPERTIES,
    MAX_TEXT as MAX_TEXT,
    MIN_UNPACKED_BYTES as MIN_UNPACKED_BYTES,
    NUMBER_VALUE as NUMBER_VALUE,
    SERIES_COLUMN as SERIES_COLUMN,
    TEXT_VALUE as TEXT_VALUE,
    WHOLE_REQUEST as WHOLE_REQUEST,
    DecodedEvents as DecodedEvents,
    EntityChange as EntityChange,
    Event as Event,
    EventRequest as EventRequest,
    IdentityLink as IdentityLink,
    ProtocolAnswer as ProtocolAnswer,
    Rejection as Rejection,
    RequestError as RequestError,
)
from tallybook.core.expression import (
    EXACTLY as EXACTLY,
    OperandValue as OperandValue,
    evaluate as evaluate,
    render as render,
    type_of as type_of,
)
from tallybook.core.fiscal import (
    MONTH_NAMES as MONTH_NAMES,
    NAMED_BY as NAMED_BY,
    PLAIN as PLAIN,
    WEEK_PATTERNS as WEEK_PATTERNS,
    BookCalendar as BookCalendar,
    FiscalYear as FiscalYear,
)
from tallybook.core.functions import (
    Function as Function,
    declared_functions as declared_functions,
    function_hash as function_hash,
    metric as metric,
)
from tallybook.core.isolation import (
    isolated as isolated,
)
from tallybook.core.labels import (
    OTHER as OTHER,
    count_phrase as count_phrase,
    shorten_list as shorten_list,
    value_label as value_label,
)
from tallybook.core.logs import (
    quiet as quiet,
)
from tallybook.core.measure.letters import parsed_formula as parsed_formula
from tallybook.core.measure.model import (
    ADDITIVE as ADDITIVE,
    BUCKETS as BUCKETS,
    BY_TIME as BY_TIME,
    DECIMAL as DECIMAL,
    FLOAT as FLOAT,
    IDS as IDS,
    INTEGER as INTEGER,
    SHOWS as SHOWS,
    SPELLINGS as SPELLINGS,
    Operand as Operand,
    Slot as Slot,
    Then as Then,
    Tree as Tree,
    linear as linear,
)
from tallybook.core.measure.parse import (
    THEN_WORDS as THEN_WORDS,
    parse_derived as parse_derived,
    parse_measure as parse_measure,
    parse_then as parse_then,
)
from tallybook.core.measure.tokens import unnegated as unnegated
from tallybook.core.numbers import (
    RELATIVE_TOLERANCE as RELATIVE_TOLERANCE,
    is_close as is_close,
)
from tallybook.core.palette import (
    COLORS as COLORS,
    begins_at_zero as begins_at_zero,
    metric_words as metric_words,
    series_by_weight as series_by_weight,
    series_colors as series_colors,
    words_and_unit as words_and_unit,
)
from tallybook.core.parquet import save_parquet as save_parquet
from tallybook.core.points import (
    ACCURACY as ACCURACY,
    DIM_COLUMNS as DIM_COLUMNS,
    EXACT as EXACT,
    EXACT_DIGITS as EXACT_DIGITS,
    EXACT_VALUES as EXACT_VALUES,
    FORMAT as FORMAT,
    GAMMA as GAMMA,
    KEY as KEY,
    MAX_DIMENSIONS as MAX_DIMENSIONS,
    MERGE as MERGE,
    PART_TYPES as PART_TYPES,
    PARTS_OF as PARTS_OF,
    READABLE as READABLE,
    SCHEMAS as SCHEMAS,
    SUM as SUM,
    column_names as column_names,
    ddl as ddl,
    hashed_id as hashed_id,
    merge_sql as merge_sql,
    missing_columns as missing_columns,
    part_column as part_column,
    schema_of as schema_of,
    storage_key as storage_key,
)
from tallybook.core.property_types import (
    fitted as fitted,
    plain_attribute as plain_attribute,
    property_type as property_type,
)
from tallybook.core.reports import (
    AS_DELIVERED as AS_DELIVERED,
    DELIVERED as DELIVERED,
    DIFFERS as DIFFERS,
    FAILED as FAILED,
    SENDING_ITEMS as SENDING_ITEMS,
    UNSUPPORTED as UNSUPPORTED,
    UP_TO_DATE as UP_TO_DATE,
    WOULD_DELIVER as WOULD_DELIVER,
    AlertReport as AlertReport,
    DeliveryReport as DeliveryReport,
    RuleReport as RuleReport,
    RulesReport as RulesReport,
    exit_code as exit_code,
)
from tallybook.core.result.formats import (
    format_number as format_number,
    number_format as number_format,
)
from tallybook.core.result.plain import (
    arrow_decimal as arrow_decimal,
    as_json as as_json,
    csv_field as csv_field,
    csv_text as csv_text,
    decimals_in as decimals_in,
    plain_number as plain_number,
    unguarded_text as unguarded_text,
)
from tallybook.core.result.result import (
    Result as Result,
)
from tallybook.core.result.tables import (
    APPROXIMATE as APPROXIMATE,
    CARRIED as CARRIED,
    INCOMPLETE as INCOMPLETE,
    count_of as count_of,
    is_approximate as is_approximate,
    period_label as period_label,
    row_label as row_label,
    why_null as why_null,
)
from tallybook.core.result.values import (
    NOT_FINITE as NOT_FINITE,
    Column as Column,
    Number as Number,
    Row as Row,
    Type as Type,
    is_complete_for as is_complete_for,
)
from tallybook.core.signed_identity import (
    IDENTITY_HEADER as IDENTITY_HEADER,
    MIN_IDENTITY_SECRET as MIN_IDENTITY_SECRET,
    IdentityRefused as IdentityRefused,
    SignedIdentity as SignedIdentity,
    sign as sign,
    verify_identity as verify_identity,
)
from tallybook.core.suggestions import (
    closest_match as closest_match,
    did_you_mean as did_you_mean,
)
from tallybook.core.timetable import (
    NeverDue as NeverDue,
    QuietHours as QuietHours,
    Timetable as Timetable,
    cron_of as cron_of,
)
from tallybook.core.units import (
    FormulaUnits as FormulaUnits,
    amount_degree as amount_degree,
    minor_digits as minor_digits,
    mixed_unit as mixed_unit,
)
from tallybook.core.written_days import (
    day_in_words as day_in_words,
    days_meant as days_meant,
)
