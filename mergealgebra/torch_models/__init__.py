"""Models in torch: what modules, their state_dicts and their adapters give to a merge, and the way back into a module.

torch, transformers and peft are never imported: whoever passes such an object has imported them.
"""
