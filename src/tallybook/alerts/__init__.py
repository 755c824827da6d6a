"""What is not well, told once: `causes` finds what is on, `known` remembers what was told to whom, `message` says it,
`send` hands it over. `usual` and `revised` know what is usual.

    look = causes.look(facts, settings)
    known = known.after(known, look, now)          # kept before anything is sent
    for address in addresses:
        due = known.due(known, address, …)
        send.send(address, message.message(due, …))
        known = known.told(known, due, address)    # kept after

All of it but `send` is pure: no clock, file or network.
"""

from __future__ import annotations

from tallybook.alerts.causes import Cause, Facts, Look, look
from tallybook.alerts.known import Due, Known, after, due, name_of, told
from tallybook.alerts.message import Message, message, trial

__all__ = [
    "Cause", "Due", "Facts", "Known", "Look", "Message", "after", "due", "look", "message", "name_of", "told",
    "trial",
]  # fmt: skip
