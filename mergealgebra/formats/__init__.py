"""Formats of others: what their files and addresses say, as the models and factors that are merged here."""
