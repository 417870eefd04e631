"""What `tuner inspect` looks for in a folder of images, one module a kind; each writes down what it found.

The command line imports it, and nothing else in `dataset` does. A new kind of finding is a module here, which
`inspect` asks; a page of its own is a module beside it, named like it with `_page`.
"""
