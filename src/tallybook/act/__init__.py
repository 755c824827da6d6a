"""Acts on the numbers: evaluates rules over attributes and metrics, carries out their actions, and shows in-app
messages."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "messages": ("Viewer",),
        "rules": ("Rules", "evaluate_after_a_run"),
        "showing": ("InsideRules", "RuleDetails", "RuleOfEntity"),
        "trial": ("RuleTrial",),
        "watching": ("RuleWatch",),
    },
)
