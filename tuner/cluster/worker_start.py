"""What Ray's workers import before torch, to import it faster; `prepare_worker` puts back what this changes."""

from trainables.collection import collect_less
from trainables.late_compiler import import_compiler_late

collect_less()
import_compiler_late()
