"""Every process that this package starts, starts here: what it imports, sees of the environment, and leaves behind."""
