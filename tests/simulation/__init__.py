"""A deterministic simulation of replicas: one seed, one history, on any machine. README.md says how to use it."""
