"""What is played; one file per game."""
