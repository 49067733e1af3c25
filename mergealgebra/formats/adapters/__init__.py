"""Adapters: what others store of a fine-tune as factors, as the contributions that they are [AD-1]."""
