"""The page docs/reference-cli.md: the help of every verb."""

from __future__ import annotations

import click

from docs.generated import MADE
from tallybook.cli.verbs import VERBS, tallybook


def reference_cli() -> str:
    parts = ["# The command\n", MADE, "```text\n" + _help(tallybook, "tallybook") + "```\n"]
    context = click.Context(tallybook, info_name="tallybook")
    for verbs in VERBS.values():
        for name in verbs:
            command = tallybook.get_command(context, name)
            assert command is not None
            parts += _described(command, f"tallybook {name}")
    return "\n".join(parts)


def _described(command: click.Command, name: str) -> list[str]:
    """A verb's help; of a group also that of its verbs."""
    found = [f"## {name}\n\n```text\n{_help(command, name)}```\n"]
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None
            found += _described(below, f"{name} {verb}")
    return found


def _help(command: click.Command, name: str) -> str:
    settings = {"terminal_width": 100, "max_content_width": 100, "help_option_names": ["-h", "--help"]}
    with click.Context(command, info_name=name, **settings) as context:  # type: ignore[arg-type]
        return "\n".join(line.rstrip() for line in command.get_help(context).splitlines()) + "\n"
