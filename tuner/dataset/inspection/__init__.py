"""What `tuner inspect` looks for in a folder of images, one module a kind; each writes down what it found.

A new kind of finding is a module here, which `inspect` asks.
"""
