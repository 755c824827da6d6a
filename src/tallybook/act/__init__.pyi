# The names of this door, for type checkers: those of __init__.py.
from tallybook.act.messages import (
    Viewer as Viewer,
)
from tallybook.act.rules import (
    Rules as Rules,
    evaluate_after_a_run as evaluate_after_a_run,
)
from tallybook.act.showing import (
    InsideRules as InsideRules,
    RuleDetails as RuleDetails,
    RuleOfEntity as RuleOfEntity,
)
from tallybook.act.trial import (
    RuleTrial as RuleTrial,
)
from tallybook.act.watching import (
    RuleWatch as RuleWatch,
)
