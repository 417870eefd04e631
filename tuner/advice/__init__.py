"""What would help after a search: more images, better labels, more pixels, more hours, an ensemble, or nothing.

`evaluation` and every room above it may import this room. Each kind of advice is one module that takes a `Material` and
gives `Line`s, or an `Unknown` that says in a sentence why nothing can be said; `advise` asks them all. Everything comes
from the training and validation images, each answered by a model that has not seen its group: the test images are not
read. A new kind of advice is a new module here, and a line in `advise.KINDS`.
"""
