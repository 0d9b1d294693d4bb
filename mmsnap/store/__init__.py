"""Where the bytes of checkpoints are: in this pool, and on their way from and to another one.

A part is what one member has of one checkpoint. It is packed into pieces, which a peer's service
carries and unpacks; what both sides have already is left out. Who is to have what, and what exists
at all, is decided above: by the catalog and the node service.
"""

from mmsnap.store.leftovers import forget_interrupted
from mmsnap.store.packing import Pieces, pack
from mmsnap.store.part_name import PartName, region_name
from mmsnap.store.presence import checkpoints_here, epochs_here
from mmsnap.store.unpacking import Unpacking

__all__ = [
    "PartName",
    "Pieces",
    "Unpacking",
    "checkpoints_here",
    "epochs_here",
    "forget_interrupted",
    "pack",
    "region_name",
]
