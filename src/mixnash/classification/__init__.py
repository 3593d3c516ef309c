"""`mixnash train-classifier`: the networks whose features and classes the metrics of images use."""
