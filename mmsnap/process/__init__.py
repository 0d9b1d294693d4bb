"""The engine for programs that know nothing of mmsnap: frozen, dumped and restored by CRIU.

It acts on one program at a time: holds it (cgroup freezer, network lock), captures it into a
folder of the pool, puts it back under the same parent. Whose order that is, and what a group
makes of it, is known to the layers above. It needs root.
"""
