"""mergekit's files: read with the numbers of their lines, and turned into merges of ours [MK-1 to MK-11]."""
