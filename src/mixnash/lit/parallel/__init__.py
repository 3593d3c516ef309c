"""Several processes: who owns what, and what travels between them."""
