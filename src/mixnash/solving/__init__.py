"""`mixnash solve`: dynamics on games with known answers, with tables and pictures."""
