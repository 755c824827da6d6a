# The names of this door, for type checkers: those of __init__.py.
from tallybook.server.assistants import serve_assistant as serve_assistant
from tallybook.server.audit_log import audited as audited
from tallybook.server.books import SharedBook as SharedBook
from tallybook.server.listeners import (
    close_listener as close_listener,
    listening_socket as listening_socket,
    shown_address as shown_address,
)
from tallybook.server.pages.report import (
    board_file as board_file,
    chart_file as chart_file,
)
from tallybook.server.pages.shared_series import view_of_fields as view_of_fields
from tallybook.server.processes import (
    LISTENING as LISTENING,
    ROLES as ROLES,
    Processes as Processes,
)
from tallybook.server.shares import ShareTerms as ShareTerms, create_share as create_share
from tallybook.server.worker import (
    WorkerPlan as WorkerPlan,
    check_certificate as check_certificate,
    check_installed as check_installed,
    end_with_parent as end_with_parent,
    event_ledger as event_ledger,
    run_worker as run_worker,
)
