"""What the choices inside tuner gain on real images."""
