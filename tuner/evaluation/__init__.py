"""The final comparison: who is compared, their scores on the test images, what can be told apart, and the page.

`release`, `tuner.api` and the command line may import this room; it never imports `release`. `compare` is the whole
of it. What a comparison is made of goes into `comparison`, what trains the finalists anew into `retrained`, a picture
into `plots`, a section of the page into `report`. A new interval or test goes into the room `statistics`.
"""
