"""What a person sees in a terminal: words, progress bars, tables, and the output streams of the process.

Every room of `tuner` may import this one. It knows nothing of runs, images or Ray. A new kind of output for a person
goes into `reporter`; what the process needs before it prints goes into `terminal`.
"""
