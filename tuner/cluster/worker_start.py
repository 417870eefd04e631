"""What Ray's workers import before torch, to import it faster; `prepare_worker` puts back what this changes."""

from trainables.collection import collect_less

collect_less()
