"""Checkpoints outside of their pool and under other names: archives and clones.

An archive is one file with everything of one checkpoint; a clone is a new group in the same pool.
Both stand alone: what they are made from may be deleted. Neither speaks to members, nor decides
what a checkpoint is: the catalog does, when the caller has it adopt the copy.
"""

from mmsnap.archive.adoption import remove_member
from mmsnap.archive.cloning import clone_members
from mmsnap.archive.contents import Contents, open_contents
from mmsnap.archive.header import EPOCH, Header
from mmsnap.archive.reading import Archive
from mmsnap.archive.writing import write_archive

__all__ = [
    "EPOCH",
    "Archive",
    "Contents",
    "Header",
    "clone_members",
    "open_contents",
    "remove_member",
    "write_archive",
]
