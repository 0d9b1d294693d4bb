"""The image of the Hazelcast tutorial, as its Dockerfile says: built when something changed."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from mmsnap.process.installation import cache_folder
from tests.image import builder
from tests.image.progress import step
from tutorials.hazelcast.cluster import fetch_jar

NAME: Final = "localhost/hazelcast-tutorial:1"
_TUTORIAL: Final = Path(__file__).resolve().parents[2] / "tutorials/hazelcast"
_DOCKERFILE: Final = "kubernetes/image/Dockerfile"
_CONTENT: Final = (_DOCKERFILE, "kubernetes/image/hazelcast.yaml", "kubernetes/image/member")
_CLIENT: Final = "personnel.py"


def archive() -> Path:
    """A docker-archive of it."""
    base, jar = builder.prepare(), fetch_jar()
    sources = {name: _TUTORIAL / name for name in (*_CONTENT, _CLIENT)} | {jar.name: jar}
    content = _content_hash(sources, base)
    place = cache_folder() / "cluster" / f"hazelcast-{content}.tar"
    if place.exists():
        return place
    tag = f"localhost/hazelcast-tutorial:{content}"
    with (
        tempfile.TemporaryDirectory() as work,
        step("building the image of the Hazelcast tutorial"),
    ):
        context = Path(work)
        for name, source in sources.items():
            target = context / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        builder.build(context, context / _DOCKERFILE, tag, {"BASE": base})
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_suffix(".new")
        builder.export(tag, fresh, NAME)
        fresh.rename(place)
    for old in place.parent.glob("hazelcast-*.tar"):
        if old != place:
            old.unlink()
    return place


def _content_hash(sources: dict[str, Path], base: str) -> str:
    content = hashlib.sha256(base.encode())
    for name, source in sorted(sources.items()):
        content.update(f"\0{name}\0".encode())
        content.update(hashlib.sha256(source.read_bytes()).digest())
    return content.hexdigest()[:16]
