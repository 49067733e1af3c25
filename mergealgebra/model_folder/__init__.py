"""The folder or file that a merge writes: tensors, companions, model card; and what killed merges leave."""
