"""Tensors at the edge: dtypes, safetensors files, and the checkpoints made of them."""
