"""Acts on the numbers: rules over attributes and metrics, what they do, and messages in the product."""

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
