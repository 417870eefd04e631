from painted import own_cache, paint, two_classes

__all__ = ["own_cache", "paint", "two_classes"]
