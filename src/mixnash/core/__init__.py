"""The mathematics: games, populations, rules and dynamics. Imports torch, jaxtyping and nothing else."""
