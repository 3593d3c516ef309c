"""Architectures: abstract generators and critics, and their implementations; one file each."""
