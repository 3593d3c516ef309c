"""Metrics as torchmetrics shells over the pure functions of `functional`."""
