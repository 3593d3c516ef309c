"""Compressing a mixture of generators into one generator, and saying what it cost."""
