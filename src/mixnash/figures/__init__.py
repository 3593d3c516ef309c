"""Pictures as functions from arrays to matplotlib figures."""
