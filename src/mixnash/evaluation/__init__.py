"""Load a run, compute every metric, write figures and a report."""
