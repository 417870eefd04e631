"""Trains one configuration on given images from several seeds, on Ray or in this process, without a search.

`tuning`, `evaluation` and `release` may import this room: evaluation trains finalists through it, release the model
that is exported. `images` finds the images of a search again, `jobs` says what each seed has to do, `seeds` does it on
Ray, `here` without. A new setting of a training is a field of `SeedJob` in `seed_job`; what is kept of a trained seed
goes into `kept`.
"""
