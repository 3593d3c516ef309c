"""How far a profile is from equilibrium, and what the field looks like around it."""
