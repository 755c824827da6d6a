"""What is wrong, reported once per cause. Pure: no clock, file or network.

`causes` finds what is wrong, `usual` and `revised` know what is normal, `known` keeps what was reported to whom, `message` writes
the text; `monitor.notify` sends it. In the order of use:

    findings = causes.look(observations, settings)
    known = known.after(known, findings, now)            # kept before anything is sent
    for address in addresses:
        due = known.due(known, address, quiet, now)
        notify.send(address, message.message(due, …))
        known = known.told(known, due, address)          # kept afterwards
"""
