"""Other implementations: how they are named, loaded, isolated and asked. `laws` and `conformance` use this.

| module | what it does |
|---|---|
| `functions` | finds MODULE:FUNCTION, and reads off its parameters how it is called |
| `methods` | our own methods as merge functions |
| `merge_functions`, `source` | a merge function in this process, and the code that makes it, for counterexamples |
| `questions`, `protocol` | one merge to be done and what can come back; the lines of JSON that say so |
| `line_process` | a process that is sent lines and sends lines back, in bounded time and memory |
| `programs` | a program that is asked by the protocol, whatever it does |
| `loading` | the program to ask, by the text that a user writes |
| `adapters/` | known implementations, and `serve.py`, which speaks the protocol for them |
| `differences` | whether two answers have the same bits, or differ by rounding alone |
| `errors` | why a target cannot be asked |
"""
