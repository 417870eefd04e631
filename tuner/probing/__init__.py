"""Which pretrained backbone suits the images: a linear probe on the frozen features of each candidate.

`tuning` and every room above it may import this room; `retraining`, which stands beside it, may not. `linear` probes
one backbone, `ranking` several. A new way to judge a backbone goes into `linear`, a new way to choose among them into
`ranking`.
"""
