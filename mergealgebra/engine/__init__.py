"""The engine: reduces models block by block, with threads, in bounded memory, to the same bits every time."""
