"""What every page shares: the page itself, tables, figures, thumbnails, and names made safe for them.

`cluster`, `tracking` and every room above them may import this room; it imports `runs` to write files. A new thing
that two pages show goes into `page`; what only one page shows stands beside what it shows, as in `evaluation.report`.
"""
