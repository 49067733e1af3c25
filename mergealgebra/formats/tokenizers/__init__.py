"""Tokenizers: what their files say, and models brought to one vocabulary, row by token [TK]."""
