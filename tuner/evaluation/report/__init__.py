"""The page of a comparison, one module a section."""
