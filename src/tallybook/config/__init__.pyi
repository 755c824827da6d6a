# The names of this door, for type checkers: those of __init__.py.
from tallybook.config.asked_events import (
    event_metrics as event_metrics,
    events_settings as events_settings,
)
from tallybook.config.catalog.assumptions import (
    explain_assumptions as explain_assumptions,
)
from tallybook.config.catalog.building import (
    build as build,
)
from tallybook.config.catalog.entity_rules import (
    fields_of as fields_of,
)
from tallybook.config.catalog.keys import (
    SOURCE_KEYS as SOURCE_KEYS,
)
from tallybook.config.catalog.receiver_values import (
    read_own_table as read_own_table,
    read_recipients as read_recipients,
    read_secret_texts as read_secret_texts,
    read_span_of_days as read_span_of_days,
    read_template as read_template,
    read_time_of_day as read_time_of_day,
    read_url as read_url,
    read_weekday_names as read_weekday_names,
)
from tallybook.config.catalog.templates import (
    filled_template as filled_template,
    only_field as only_field,
    template_fields as template_fields,
)
from tallybook.config.catalog.values import (
    Wrong as Wrong,
    choice_of as choice_of,
    read_address as read_address,
    read_document as read_document,
    read_flag as read_flag,
    read_paths as read_paths,
    read_text as read_text,
    separator_of as separator_of,
    whole_number as whole_number,
)
from tallybook.config.catalog.words import (
    toml as toml,
)
from tallybook.config.catalog.zones import zone_warnings as zone_warnings
from tallybook.config.condition_parsing import (
    SINCE_LAST as SINCE_LAST,
    names_in as names_in,
)
from tallybook.config.conditions import (
    ANY as ANY,
    Condition as Condition,
    ConditionColumn as ConditionColumn,
    compile_condition as compile_condition,
)
from tallybook.config.declared_files import (
    Stamp as Stamp,
    declaration_hash as declaration_hash,
    declaration_stamp as declaration_stamp,
)
from tallybook.config.files import (
    read_optional as read_optional,
    variables_of as variables_of,
)
from tallybook.config.owner import (
    check_owner as check_owner,
    known_source as known_source,
    owner_of as owner_of,
)
from tallybook.config.project import (
    Project as Project,
    load as load,
    mask as mask,
    source_override as source_override,
)
from tallybook.config.urls import (
    WEBHOOKS as WEBHOOKS,
    alert_name as alert_name,
    dialect_of as dialect_of,
    masked as masked,
    masked_url as masked_url,
    names_path as names_path,
    resolved as resolved,
    secrets_of as secrets_of,
    secrets_of_address as secrets_of_address,
    wrong_ledger as wrong_ledger,
    wrong_url as wrong_url,
)
from tallybook.config.variables import (
    parse_dotenv as parse_dotenv,
)
