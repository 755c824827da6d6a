"""Problems, each reported once: `causes` finds them, `known` remembers who was notified, and `message` writes the text.
`usual` and `revised` judge values.

    findings = causes.look(facts, settings)
    known = known.after(known, findings, now)          # kept before anything is sent
    for address in addresses:
        due = known.due(known, address, …)
        notify.send(address, message.message(due, …))
        known = known.after_sending(known, due, address)    # kept after

Everything here is pure: no clock, file or network. `monitor.notify` sends.
"""
