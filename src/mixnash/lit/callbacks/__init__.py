"""What is watched, drawn and written while a run trains."""
