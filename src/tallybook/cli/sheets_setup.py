"""The verb `sheets setup`: its options and their checks. The steps are in `sheets_wizard`."""

from __future__ import annotations

from pathlib import Path

import click

from tallybook.cli.options import TABLE_OR_JSON, gathered, verb
from tallybook.cli.sheets import API, print_worksheets
from tallybook.cli.sheets_wizard import SetupOptions, SheetsWizard
from tallybook.cli.terminal import Terminal
from tallybook.core import DONE, DeclarationError


@verb(
    click.option("--client-id", metavar="ID", help="The id of an OAuth client of the type Desktop app."),
    click.option(
        "--client-secret",
        metavar="SECRET",
        help="Its secret. TALLYBOOK_GOOGLE_CLIENT_SECRET keeps it out of the shell history.",
    ),
    click.option(
        "--client-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Id and secret in the JSON file that Google offers for download.",
    ),
    click.option(
        "--service-account",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The key file of a service account, instead of a client and a consent.",
    ),
    click.option(
        "--refresh-token",
        metavar="TOKEN",
        help="A token that was granted before, for example on another host. Skips the consent.",
    ),
    click.option("--document", metavar="ID|URL", help="The document to write to."),
    click.option(
        "--create",
        metavar="TITLE",
        help="Create a new document instead. The consent then covers only documents created by Tallybook.",
    ),
    click.option("--again", is_flag=True, help="Ask for consent even if there are keys already."),
    click.option(
        "--browser/--no-browser",
        default=True,
        help="With --no-browser: open the page on any machine and paste the address back.",
    ),
    click.option(
        "--port",
        metavar="N",
        type=click.IntRange(0, 65535),
        default=0,
        help="The local port for the answer of the browser. Default: any free port.",
    ),
    click.option(
        "--wait",
        metavar="SECONDS",
        type=click.FloatRange(1, 3600),
        default=300.0,
        help="How long to wait for the browser. Default: 300.",
    ),
    click.option(
        "--save",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The file for the keys. Default: ~/.config/tallybook/google.json.",
    ),
    click.option(
        "--keyring", is_flag=True, help="Store the secrets in the system keyring (needs the package keyring)."
    ),
    click.option(
        "--print-env",
        is_flag=True,
        help="Store nothing; print the keys as environment variables, for a host without a disk.",
    ),
    API,
    TABLE_OR_JSON,
)
@gathered(SetupOptions)
def setup(terminal: Terminal, options: SetupOptions, form: str) -> int:
    """Connect Google Sheets: create a client, consent, choose a document, and get the code for each worksheet.

    \b
      tallybook sheets setup                                    asks for everything
      tallybook sheets setup --client-file client.json --create Metrics
      tallybook sheets setup --client-id ID --client-secret SECRET --document URL
      tallybook sheets setup --no-browser                       on a server: paste the address back
      tallybook sheets setup --service-account key.json --document URL
      tallybook sheets setup --print-env --again >> .env

    The refresh token is stored in a file that only you can read. Existing keys are used again unless --again is given.
    Questions and progress go to stderr; the result goes to stdout."""
    _check(options, form)
    result = SheetsWizard(terminal, options).run()
    if form == "json":
        terminal.json(result)
    elif result.get("worksheets"):
        print_worksheets(result, terminal, terminal.err if options.print_env else terminal.out)
    return DONE


def _check(options: SetupOptions, form: str) -> None:
    """Raise DeclarationError for options that contradict each other."""
    if options.document and options.create:
        raise DeclarationError("--document and --create exclude each other", hint="give one of them")
    if options.service_account and options.names_a_client:
        raise DeclarationError(
            "--service-account and the options of a client exclude each other", hint="give one of them"
        )
    if options.service_account and options.create:
        from tallybook.sheets import no_drive_space, service_account

        raise no_drive_space(service_account(str(options.service_account)).account)
    if options.print_env and form == "json":
        raise DeclarationError("--print-env and --format json exclude each other", hint="remove --format json")
    if options.print_env and (options.save or options.keyring):
        raise DeclarationError(
            "--print-env stores nothing, so --save and --keyring have no effect", hint="remove them, or --print-env"
        )
