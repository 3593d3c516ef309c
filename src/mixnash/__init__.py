"""GANs trained to mixed Nash equilibria: populations of generators and critics, on PyTorch Lightning."""
