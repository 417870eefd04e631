"""Benchmarks: each prints a ratio or a rate against a named peer, as `python -m benchmarks.speed.epoch`.

`speed` is how fast, `search` whether better trials are found, `statistics` how often intervals and tests are wrong,
`quality` what choices inside tuner gain on real images. `common` holds what several share; `python -m benchmarks.all`
runs all that have a quick mode.
"""
