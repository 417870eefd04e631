"""Its presence puts this folder on pytest's path, so that tests can import what they share."""
