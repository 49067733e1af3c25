"""Other implementations of TIES: where they differ, as data, and what each computes, on arrays in memory."""
