"""An SQL aggregate expression, split into slots (the aggregates) and a shell (the expression around them).

    100.0 * sum(case when ok then 1 end) / count(*)
    └──────────── shell: (100.0 * s0) / s1 ────────┘   slots: s0 = sum(…), s1 = count(*)

The SQL *inside* an aggregate belongs to the source and is passed through unchanged. The expression *around* the
aggregates is evaluated by Tallybook after merging, so it is a closed list (`shell.SHELL_WORDS`). Names of aggregates
mean the same on every database: `stddev` is the sample's, also on MySQL."""
