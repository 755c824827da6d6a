"""What is wrong, reported once per cause: `causes` finds it, `usual` and `revised` know what is normal, `known` keeps what was reported
to whom, `message` says it. Pure: no clock, file or network."""
