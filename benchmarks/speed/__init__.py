"""How fast: epochs, trials, whole searches, memory."""
