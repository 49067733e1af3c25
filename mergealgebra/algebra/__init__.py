"""Pure equations on fp32 and fp64 arrays, NumPy or torch, exact wherever they sum."""
