"""Who looks at whom, when; one file per scheme."""
