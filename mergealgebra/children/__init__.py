"""The processes that this package starts: what they import, what they see of the environment, what they leave."""
