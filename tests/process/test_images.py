"""What is read in CRIU's images, and what must not be believed of it."""

from __future__ import annotations

from pathlib import Path

from mmsnap.process import criu_images_pb2 as pb
from mmsnap.process import image_file
from mmsnap.process.restoring import highest_pid


def test_the_thread_of_a_zombie_that_was_never_read_is_not_believed(tmp_path: Path) -> None:
    tasks = [
        pb.TaskEntry(pid=2, parent_pid=0, process_group=2, session=2, threads=[2, 31]),
        pb.TaskEntry(pid=40, parent_pid=2, process_group=2, session=2, threads=[2389102464]),
    ]
    (tmp_path / "magic").write_bytes(bytes(8))
    image_file.rewrite(tmp_path / "magic", tmp_path / "pstree.img", tasks)
    assert highest_pid(tmp_path) == 40
