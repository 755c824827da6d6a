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
