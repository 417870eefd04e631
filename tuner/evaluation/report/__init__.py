"""The page of a comparison, one module a section.

`compare` imports it, and `release` for the words of the model card. A new section is a module here, which `page` puts
in its place.
"""
