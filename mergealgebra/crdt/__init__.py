"""The operation set: what replicas agree on. Ids and bytes only, never a tensor, never a float."""
