"""`mixnash reproduce`: every figure and table of the documentation, each from one command."""
