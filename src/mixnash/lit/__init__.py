"""The Lightning shell: devices, logging, checkpoints and reductions; no mathematics."""
