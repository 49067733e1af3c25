"""What the answers say.

| module | what it does |
|---|---|
| `tie_choices` | whether an answer is one of those that a dialect allows where elements tie |
| `dialect_answers` | what a dialect answers, and whether an answer is the dialect's |
| `readings` | what is read of an answer to a probe, and which options explain it |
| `equivalents` | options that no answers tell apart |
| `options` | all combinations of options that explain a target's answers |
"""
