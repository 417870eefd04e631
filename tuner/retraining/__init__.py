"""Trains one configuration on given images from several seeds, on Ray, without a search.

Evaluation trains finalists through this room, release the model that is exported.
"""
