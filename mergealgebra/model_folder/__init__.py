"""The folder, or the file, that a merge leaves: tensors, companions, model card; and what is left of half-made ones."""
