"""Conformance: what any implementation of TIES computes, found out by asking it.

A part uses the parts above it and `targets`, which knows how an implementation is asked.

| part | what it does |
|---|---|
| `verdict` | what can be found out, as plain data |
| `probes/` | what is asked: small merges for each point of variation, and the interview that asks them |
| `inference/` | which options, and which choices among ties, explain the answers |
| `judgement/` | what follows: findings, standings to the dialects, properties; `judge` does it all in order |
| `reports/` | how it is shown: tables, JUnit XML, an HTML page, the matrix of many implementations |
"""
