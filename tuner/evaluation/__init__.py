"""The final comparison: who is compared, their scores on the test images, what can be told apart, and the page.

Imported by `release` and the command line; never imports `release`. `evidence` holds what everything here
is made from. A new picture is a function of a file in `plots` and a line in `plots.album`; a new statistic
goes into `statistics`.
"""
