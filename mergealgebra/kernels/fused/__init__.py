"""The code that Numba compiles for `kernels.cpu`. Its arguments are typed when it is called, so they are not here."""
