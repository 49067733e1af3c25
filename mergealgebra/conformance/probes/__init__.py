"""What is asked: `catalogue` has the merges, `variations` one merge in another arrangement, `interview` asks them."""
