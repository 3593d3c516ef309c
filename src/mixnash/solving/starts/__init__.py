"""Where the players begin; one file per kind."""
