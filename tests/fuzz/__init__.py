"""Fuzzing the decoders: whatever bytes they are given, they refuse in our words or give a value that holds.

`python -m tests.fuzz TARGET` searches with atheris; `test_corpus.py` replays what was found, and mutates it, without.
"""
