"""Runs the user's kubectl: what is asked of the API server goes through here, with their rights.

kubectl has the credentials and every way to log in there is; a library would have some of them.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from mmsnap.errors import AgentUnavailableError, MmsnapError, UnsupportedError
from mmsnap_kubectl.refusals import refusal_of

Manifest = dict[str, Any]

_CHUNK_BYTES: Final = 1 << 16
_AGAIN_SECONDS: Final = 0.5
_DELETING_SECONDS: Final = 120.0
# An API server that has just started does not know definitions for a moment, either.
_AWAY: Final = (AgentUnavailableError, UnsupportedError)


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A cluster as kubectl reaches it.

    Attributes:
        namespace: empty: the one of the kubeconfig's context.
        others: options that go through to kubectl as they are.
    """

    namespace: str = ""
    others: tuple[str, ...] = ()

    def within(self, namespace: str) -> Kubectl:
        """The same in another namespace."""
        return Kubectl(namespace, self.others)

    def get(self, resource: str, name: str, *, patience_seconds: float = 0) -> Manifest:
        """An object; NotFoundError. An API server that is away is asked again for so long."""
        deadline = time.monotonic() + patience_seconds
        words = ["get", resource, name, "-o", "json"]
        while True:
            try:
                found: Manifest = json.loads(self._run(words, f"{_kind(resource)} {name}"))
            except _AWAY:
                if time.monotonic() + _AGAIN_SECONDS >= deadline:
                    raise
            else:
                return found
            time.sleep(_AGAIN_SECONDS)

    def list(
        self,
        resource: str,
        *,
        everywhere: bool = False,
        labels: str = "",
        fields: str = "",
    ) -> list[Manifest]:
        """All objects of a kind, here or in all namespaces."""
        words = ["get", resource, "-o", "json"]
        words += ["--all-namespaces"] if everywhere else []
        words += [f"--selector={labels}"] if labels else []
        words += [f"--field-selector={fields}"] if fields else []
        found: list[Manifest] = json.loads(self._run(words, _kind(resource)))["items"]
        return found

    def create(self, manifest: Mapping[str, Any]) -> Manifest:
        """Makes an object; as it came to be."""
        metadata = manifest["metadata"]
        name = metadata.get("name") or f"{metadata.get('generateName', '')}…"
        subject = f"{manifest['kind']} {name}"
        words = ["create", "-f", "-", "-o", "json"]
        made: Manifest = json.loads(self._run(words, subject, json.dumps(manifest)))
        return made

    def patch(self, resource: str, name: str, patch: Mapping[str, Any]) -> None:
        """Changes some fields of its specification; NotFoundError."""
        words = ["patch", resource, name, "--type=merge", f"--patch={json.dumps(patch)}"]
        self._run(words, f"{_kind(resource)} {name}")

    def delete(self, resource: str, name: str, timeout_seconds: float | None = None) -> None:
        """Deletes an object, and returns when it is gone; NotFoundError."""
        limit_seconds = max(1, round(timeout_seconds or _DELETING_SECONDS))
        words = ["delete", resource, name, f"--timeout={limit_seconds}s"]
        self._run(words, f"{_kind(resource)} {name}")

    def watch(
        self, resource: str, name: str, timeout_seconds: float, *, was_made: bool = False
    ) -> Iterator[Manifest]:
        """An object now, and whenever it changes; ends with the time, or when it is deleted.

        NotFoundError: it is not there to begin with, or not any more.

        Args:
            was_made: just now, so the API server was there and comes back if it is away.
        """
        deadline = time.monotonic() + timeout_seconds
        yield self.get(resource, name, patience_seconds=timeout_seconds if was_made else 0)
        while True:
            words = ["get", resource, name, "-o", "json", "--watch", "--output-watch-events"]
            for event in _documents(self._words(words), deadline):
                if event["type"] == "DELETED":
                    return
                yield event["object"]
            # A watch ends when the API server likes, or goes away for a while.
            if time.monotonic() + _AGAIN_SECONDS >= deadline:
                return
            time.sleep(_AGAIN_SECONDS)
            with suppress(*_AWAY):
                yield self.get(resource, name)

    def _run(self, words: Sequence[str], subject: str, stdin: str = "") -> str:
        try:
            told = subprocess.run(
                self._words(words),
                input=stdin,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            raise _no_kubectl() from error
        if told.returncode:
            raise refusal_of(told.stderr, subject)
        # What admission warns of is for the person, not for this program.
        for line in told.stderr.splitlines():
            if line.startswith("Warning: "):
                print(line, file=sys.stderr)  # noqa: T201
        return told.stdout

    def _words(self, words: Sequence[str]) -> Sequence[str]:
        where = [f"--namespace={self.namespace}"] if self.namespace else []
        return ["kubectl", *self.others, *where, *words]


def _documents(words: Sequence[str], deadline: float) -> Iterator[Manifest]:
    """The JSON documents that a program writes until it ends or the time is up."""
    decoder = json.JSONDecoder()
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdout is not None
        try:
            text = bytearray()
            for chunk in _chunks(running.stdout.fileno(), deadline):
                text += chunk
                while found := _first(decoder, text):
                    document, end = found
                    del text[:end]
                    yield document
        finally:
            running.kill()


def _chunks(stream: int, deadline: float) -> Iterator[bytes]:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while (left_seconds := deadline - time.monotonic()) > 0:
            if not selector.select(left_seconds):
                return
            chunk = os.read(stream, _CHUNK_BYTES)
            if not chunk:
                return
            yield chunk


def _first(decoder: json.JSONDecoder, text: bytearray) -> tuple[Manifest, int] | None:
    """The first whole document and where it ends, in bytes."""
    try:
        whole = text.decode()
        begin = len(whole) - len(whole.lstrip())
        document, end = decoder.raw_decode(whole, begin)
    except ValueError:  # more is to come
        return None
    return document, len(whole[:end].encode())


def _kind(resource: str) -> str:
    from mmsnap_kubectl.names import KINDS

    return KINDS.get(resource) or resource.partition(".")[0].removesuffix("s")


def _no_kubectl() -> MmsnapError:
    return MmsnapError(
        "kubectl is not found", subject="kubectl", hint="install it, or add its folder to PATH"
    )
