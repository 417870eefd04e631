"""What a person sees in a terminal: words, bars, tables, and the process's output streams.

Anyone in `tuner` may import this room. It knows nothing of runs, images or Ray.
"""
