"""What follows from the answers.

| module | what it does |
|---|---|
| `evidence` | questions and answers as short texts: what shows something |
| `findings` | what a target takes at each point |
| `random_merges` | merges beyond the probes |
| `standings` | where a target stands to each dialect |
| `properties` | what no dialect may depend on: order, shards, threads, dtypes, repetition |
| `summary` | a verdict in a few sentences, and the mistakes that it names |
| `judge` | asks a target, and does all of this in order |
| `comparison` | a target beside one dialect, for the report on many implementations |
"""
