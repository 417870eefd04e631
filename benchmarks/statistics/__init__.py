"""How often intervals and tests are wrong, by simulation."""
