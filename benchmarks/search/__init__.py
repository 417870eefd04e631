"""Does the search find better trials? Recorded curves and races."""
