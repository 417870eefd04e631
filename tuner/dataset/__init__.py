"""A folder of images: read, split by groups, inspected. No search is needed for any of it.

`probing`, `retraining` and every room above them may import this room. `config` has the question (`DataConfig`: which
images, how split, how seen); `loading` answers it. A new way to write labels or groups goes into `reading`, a new rule
for the split into `splitting`, a new kind of finding into `inspection`.
"""
