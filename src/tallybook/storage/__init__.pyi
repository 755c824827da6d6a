# The names of this door, for type checkers: those of __init__.py.
from tallybook.storage.ahead import firings_until as firings_until, is_clock_confirmed as is_clock_confirmed
from tallybook.storage.api_keys import ApiKey as ApiKey
from tallybook.storage.aside import set_aside as set_aside
from tallybook.storage.audit_lines import AuditLines as AuditLines
from tallybook.storage.book_commits import BookCommits as BookCommits, commits_of as commits_of
from tallybook.storage.clocks import (
    TakenBack as TakenBack,
    last_true_before as last_true_before,
    taken_back as taken_back,
    true_start as true_start,
)
from tallybook.storage.copying import Copied as Copied, copy_book as copy_book, copy_points as copy_points
from tallybook.storage.doctor import examine as examine, remarks as remarks
from tallybook.storage.engines.duckdb import (
    connect as connect,
    identifier as identifier,
    literal as literal,
    widened as widened,
    without_bar as without_bar,
)
from tallybook.storage.entity_changes import EntityHistory as EntityHistory
from tallybook.storage.entity_clocks import attributes_ahead as attributes_ahead
from tallybook.storage.entity_history import entities_at as entities_at, entity_states as entity_states
from tallybook.storage.entity_ledger import EntityLedger as EntityLedger
from tallybook.storage.entity_months import EntityMonths as EntityMonths
from tallybook.storage.entity_records import (
    AttributeType as AttributeType,
    ChangedEntities as ChangedEntities,
    Entity as Entity,
    HistoryRow as HistoryRow,
)
from tallybook.storage.entity_writing import apply_pushed as apply_pushed
from tallybook.storage.event_day_tables import day_path as day_path, gaps_of as gaps_of, not_kept as not_kept
from tallybook.storage.event_ledger import (
    PROPERTY_PREFIX as PROPERTY_PREFIX,
    REJECTED as REJECTED,
    ConsumedLog as ConsumedLog,
    EventCommit as EventCommit,
    EventFile as EventFile,
    EventLedger as EventLedger,
    EventsSnapshot as EventsSnapshot,
    IdRun as IdRun,
    Property as Property,
)
from tallybook.storage.files import (
    OWNER as OWNER,
    BadFile as BadFile,
    Files as Files,
    FolderFiles as FolderFiles,
    engine_path as engine_path,
    folder_mode as folder_mode,
    hash_of as hash_of,
    make_folder as make_folder,
    scratch_folder as scratch_folder,
    sync as sync,
)
from tallybook.storage.folder import Store as Store
from tallybook.storage.hook_ledger import HookLedger as HookLedger
from tallybook.storage.hosts import event_hosts as event_hosts, lose_host as lose_host
from tallybook.storage.identity_links import (
    IdentityLinks as IdentityLinks,
    LinkedId as LinkedId,
    NewLinks as NewLinks,
    apply_links as apply_links,
)
from tallybook.storage.ledger import (
    Cleaned as Cleaned,
    Commit as Commit,
    Conflict as Conflict,
    Covered as Covered,
    CoveredDay as CoveredDay,
    Definition as Definition,
    Delivered as Delivered,
    Followed as Followed,
    Lease as Lease,
    Ledger as Ledger,
    PointsFile as PointsFile,
    Revision as Revision,
    Stretch as Stretch,
    VersionSnapshot as VersionSnapshot,
    kept_under as kept_under,
)
from tallybook.storage.ledger_files import LedgerFiles as LedgerFiles, private_folder as private_folder
from tallybook.storage.linked_entities import merge_linked as merge_linked
from tallybook.storage.loaded_rows import load_rows as load_rows
from tallybook.storage.lost import Losses as Losses
from tallybook.storage.message_ledger import (
    MessageLedger as MessageLedger,
    MessageState as MessageState,
)
from tallybook.storage.outbox_ledger import OutboxLedger as OutboxLedger
from tallybook.storage.outbox_records import (
    ATTRIBUTE as ATTRIBUTE,
    GIVEN_UP as GIVEN_UP,
    MAY_HAVE_ARRIVED as MAY_HAVE_ARRIVED,
    PLANNED as PLANNED,
    REFUSED_ITEM as REFUSED_ITEM,
    RESTATED as RESTATED,
    SENDING as SENDING,
    SENT as SENT,
    UNKNOWN_OUTCOME as UNKNOWN_OUTCOME,
    Attempt as Attempt,
    DaySum as DaySum,
    FoldedDay as FoldedDay,
    HookSubscription as HookSubscription,
    OutboxItem as OutboxItem,
    OutboxRow as OutboxRow,
    ReceiverHealth as ReceiverHealth,
    Settled as Settled,
    hash_of_body as hash_of_body,
    item_key as item_key,
    parts_of_item as parts_of_item,
)
from tallybook.storage.outbox_writing import OutboxPlan as OutboxPlan, put_in as put_in, want_in as want_in
from tallybook.storage.places import (
    IN_LEDGER as IN_LEDGER,
    SCHEMA as SCHEMA,
    BookLocation as BookLocation,
    backup_in as backup_in,
    find_store as find_store,
    open_store as open_store,
)
from tallybook.storage.postgresql_ledger import PostgresqlLedger as PostgresqlLedger
from tallybook.storage.request_log import (
    LEDGER_HOST as LEDGER_HOST,
    RequestLog as RequestLog,
    StoredRequest as StoredRequest,
)
from tallybook.storage.retention import (
    FOLDABLE_FILES as FOLDABLE_FILES,
    LOOSE_FILES as LOOSE_FILES,
    STRAY_HOURS as STRAY_HOURS,
)
from tallybook.storage.rule_actions import (
    NumberedAction as NumberedAction,
    RuleActions as RuleActions,
    keep_actions as keep_actions,
)
from tallybook.storage.rule_ledger import (
    DROPPED as DROPPED,
    FIRED as FIRED,
    HOLDOUT as HOLDOUT,
    RULES_JOB as RULES_JOB,
    WAITING as WAITING,
    Collision as Collision,
    Firing as Firing,
    KnownRule as KnownRule,
    RuleLedger as RuleLedger,
    RulesCommit as RulesCommit,
    RulesSnapshot as RulesSnapshot,
    StatesFile as StatesFile,
)
from tallybook.storage.rule_states import (
    forget_states as forget_states,
    merged_states as merged_states,
    write_states as write_states,
)
from tallybook.storage.series_slots import SeriesSlots as SeriesSlots, with_new as with_new
from tallybook.storage.shares import ShareLedger as ShareLedger, ShareRecord as ShareRecord
from tallybook.storage.sql_ledger import SqlLedger as SqlLedger
from tallybook.storage.sqlite_file import (
    State as State,
    left_behind as left_behind,
    needs_side_files as needs_side_files,
    state as state,
)
from tallybook.storage.stored_rows import stamp_of as stamp_of
from tallybook.storage.transaction import Transaction as Transaction
