"""What every page shares: the page itself, tables, figures, thumbnails, and names made safe for them.

Anyone in `tuner` may import this room. What only one page shows stands beside what it shows, as in `evaluation.report`.
"""
