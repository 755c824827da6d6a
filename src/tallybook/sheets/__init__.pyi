# The names of this door, for type checkers: those of __init__.py.
from tallybook.sheets.api import (
    Api as Api,
)
from tallybook.sheets.cells import (
    MAX_CELL_CHARACTERS as MAX_CELL_CHARACTERS,
    serial as serial,
)
from tallybook.sheets.consent import (
    ConsentRequest as ConsentRequest,
    OAuthClient as OAuthClient,
    RedirectListener as RedirectListener,
    client_file as client_file,
    exchange_answer as exchange_answer,
    request_consent as request_consent,
)
from tallybook.sheets.credentials import (
    FILE as FILE,
    FILES as FILES,
    NAMES as NAMES,
    SERVICE_ACCOUNT as SERVICE_ACCOUNT,
    SPREADSHEETS as SPREADSHEETS,
    Keys as Keys,
    default_file as default_file,
    find_keys as find_keys,
    has_keyring as has_keyring,
    key_variables as key_variables,
    require_packages as require_packages,
    save_keys as save_keys,
    service_account as service_account,
)
from tallybook.sheets.doctor import (
    BAD as BAD,
    Finding as Finding,
    examine as examine,
)
from tallybook.sheets.marks import (
    DELIVERY as DELIVERY,
    Json as Json,
    Stamp as Stamp,
    metadata_creation as metadata_creation,
    metadata_id as metadata_id,
    metadata_removal as metadata_removal,
)
from tallybook.sheets.refusals import (
    no_drive_space as no_drive_space,
)
from tallybook.sheets.rows import (
    CELLS as CELLS,
    SHAPE as SHAPE,
    WorksheetRows as WorksheetRows,
    sheets_of as sheets_of,
)
from tallybook.sheets.service_urls import (
    AUDIENCE as AUDIENCE,
    CLIENTS as CLIENTS,
    ENABLE as ENABLE,
    ServiceUrls as ServiceUrls,
    document as document,
    link as link,
)
from tallybook.sheets.session import (
    Session as Session,
)
from tallybook.sheets.words import (
    delivery_lines as delivery_lines,
    python_lines as python_lines,
    session_lines as session_lines,
)
from tallybook.sheets.workbook.attached import (
    attached_rows as attached_rows,
    follow_rules as follow_rules,
)
from tallybook.sheets.workbook.book import (
    Workbook as Workbook,
    recalculating as recalculating,
    shared_strings as shared_strings,
)
from tallybook.sheets.workbook.package import (
    RELATIONS as RELATIONS,
    Package as Package,
    damage_reported as damage_reported,
    for_reading as for_reading,
)
from tallybook.sheets.workbook.places import (
    Area as Area,
    area as area,
    cell as cell,
)
from tallybook.sheets.workbook.sheet import (
    WorkbookSheet as WorkbookSheet,
)
from tallybook.sheets.workbook.styles import (
    CellStyle as CellStyle,
    Styles as Styles,
)
from tallybook.sheets.workbook.table import (
    WorkbookTable as WorkbookTable,
    free_number as free_number,
    free_table_name as free_table_name,
    new_table as new_table,
    tables as tables,
)
from tallybook.sheets.workbook.xml import (
    escaped as escaped,
)
from tallybook.sheets.worksheet import (
    Worksheet as Worksheet,
    find_worksheet as find_worksheet,
)
