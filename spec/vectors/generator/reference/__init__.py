"""The clauses of spec/, written once more with `fractions.Fraction`: slow, small, independent of the package."""
