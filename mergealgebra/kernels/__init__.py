"""Kernels: one block of a merge at a time, on each kind of hardware, all equal to the equations in `algebra/`."""
