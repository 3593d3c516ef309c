"""How one player moves: position rules and weight rules; one file per rule."""
