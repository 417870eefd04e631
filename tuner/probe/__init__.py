"""Which pretrained backbone suits the images: a linear probe on the frozen features of each candidate.

`linear` probes one backbone, `ranking` several. A search, a plan and `tuner probe` import this room.
"""
