"""The merge methods: one file each, with its recipe keys, its equations, and what it needs."""
