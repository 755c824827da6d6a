# The names of this door, for type checkers: those of __init__.py.
from tallybook.ingest.attribute_imports import (
    AttributeImport as AttributeImport,
    import_attributes as import_attributes,
)
from tallybook.ingest.attribute_requests import (
    SentAttributes as SentAttributes,
    decode_changes as decode_changes,
    in_order as in_order,
    push_attributes as push_attributes,
)
from tallybook.ingest.compaction import Compactor as Compactor
from tallybook.ingest.csv_bodies import (
    CELL_TYPES as CELL_TYPES,
    KINDS_OF_ROWS as KINDS_OF_ROWS,
    CsvMapping as CsvMapping,
    CsvRows as CsvRows,
    rows_of_csv as rows_of_csv,
    too_large_file as too_large_file,
)
from tallybook.ingest.erasing import erase_events as erase_events
from tallybook.ingest.event_search import (
    EventSearch as EventSearch,
    search_events as search_events,
)
from tallybook.ingest.expiry import Expiry as Expiry
from tallybook.ingest.exporting import (
    EventExport as EventExport,
    export_events as export_events,
)
from tallybook.ingest.group_commit import GroupCommit as GroupCommit
from tallybook.ingest.id_rebuilding import (
    RebuiltIds as RebuiltIds,
    rebuild_ids as rebuild_ids,
)
from tallybook.ingest.importing import (
    IMPORT_KEY as IMPORT_KEY,
    EventImport as EventImport,
    ImportedEvents as ImportedEvents,
    StoredIds as StoredIds,
    import_events as import_events,
)
from tallybook.ingest.keys import (
    SCOPES as SCOPES,
    KeyRing as KeyRing,
    KeysUnknown as KeysUnknown,
    KeyTerms as KeyTerms,
    claim_invitation as claim_invitation,
    create_key as create_key,
    invite as invite,
    key_text as key_text,
    revoke_key as revoke_key,
    rotate_key as rotate_key,
    without_text as without_text,
)
from tallybook.ingest.last_seen import LastSeen as LastSeen
from tallybook.ingest.log import (
    LogAway as LogAway,
    LogFailed as LogFailed,
    LogFolder as LogFolder,
    LogFull as LogFull,
    LogRow as LogRow,
)
from tallybook.ingest.log_sqlite import SqliteLogs as SqliteLogs
from tallybook.ingest.logs import logs_to_compact as logs_to_compact, logs_to_write as logs_to_write
from tallybook.ingest.names import within_names as within_names
from tallybook.ingest.plug_in import EventProtocol as EventProtocol
from tallybook.ingest.protocols.gainsight_px import (
    PX_EVENTS_PATH as PX_EVENTS_PATH,
    PX_KEY_HEADER as PX_KEY_HEADER,
    PX_PROPERTY as PX_PROPERTY,
    px_error as px_error,
)
from tallybook.ingest.protocols.translated import (
    SentEntity as SentEntity,
    SentLink as SentLink,
)
from tallybook.ingest.reading import (
    DEFAULT_PAGE as DEFAULT_PAGE,
    MAX_PAGE as MAX_PAGE,
    EventQuestion as EventQuestion,
    on_present_files as on_present_files,
    read_events as read_events,
)
from tallybook.ingest.rejected import (
    RejectedQuestion as RejectedQuestion,
    read_rejected as read_rejected,
)
from tallybook.ingest.replaying import Replayed as Replayed, replay_rejected as replay_rejected
from tallybook.ingest.seen_summaries import SeenSummaries as SeenSummaries
from tallybook.ingest.sending import (
    LOCAL_KEY as LOCAL_KEY,
    EventSender as EventSender,
    HttpSender as HttpSender,
    LocalSender as LocalSender,
)
from tallybook.ingest.unpacking import decode_row as decode_row, unpack as unpack
from tallybook.ingest.upkeep import Upkeep as Upkeep
from tallybook.ingest.wire import OWN_PROTOCOL as OWN_PROTOCOL, WireProtocol as WireProtocol
