"""Archives as files: private to their owner, whole or absent, encrypted if asked.

Encryption is age's (https://age-encryption.org/v1), so the files can be read with its own tools.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Final

import pyrage
import typer
from pyrage import ssh, x25519

from mmsnap.errors import MmsnapError

_ENCRYPTED: Final = b"age-encryption.org/v1"
_CHUNK_BYTES: Final = 1 << 20
_PRIVATE: Final = 0o600

Recipient = x25519.Recipient | ssh.Recipient
Identity = x25519.Identity | ssh.Identity


def recipients(values: Iterable[str]) -> list[Recipient]:
    """Public keys: "age1...", "ssh-...", or files of such lines; typer.BadParameter."""
    found: list[Recipient] = []
    for value in values:
        lines = [value] if value.startswith(("age1", "ssh-")) else _lines(Path(value))
        for line in lines:
            try:
                kind = x25519.Recipient if line.startswith("age1") else ssh.Recipient
                found.append(kind.from_str(line))
            except pyrage.RecipientError as error:
                raise typer.BadParameter(
                    f"{line[:40]!r} is no public key of age or SSH: {error}",
                    param_hint="--encrypt-to",
                ) from error
    return found


def identities(file: Path) -> list[Identity]:
    """The secret keys of a file of age-keygen, or of an SSH key; typer.BadParameter."""
    try:
        text = file.read_text()
        if "PRIVATE KEY-----" in text:
            return [ssh.Identity.from_buffer(text.encode())]
        return [x25519.Identity.from_str(line) for line in _keys(text)]
    except (OSError, ValueError, pyrage.IdentityError) as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="--identity") from error


def write(file: Path, pieces: Iterator[bytes], encrypt_to: list[Recipient]) -> None:
    """Writes the archive; what is interrupted leaves no file of this name."""
    partial = file.with_name(f"{file.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as target:
            if encrypt_to:
                pyrage.encrypt_io(_Reader(pieces), target, encrypt_to)
            else:
                for piece in pieces:
                    target.write(piece)
            target.flush()
            os.fsync(target.fileno())
        partial.rename(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def reading(file: Path, identity: Path | None) -> Iterator[Iterator[bytes]]:
    """The archive's bytes, decrypted; MmsnapError when no key fits."""
    with file.open("rb") as source:
        encrypted = source.read(len(_ENCRYPTED)) == _ENCRYPTED
        source.seek(0)
        if not encrypted:
            yield iter(lambda: source.read(_CHUNK_BYTES), b"")
            return
        if identity is None:
            raise typer.BadParameter(
                f"{file} is encrypted: name the file of the secret key", param_hint="--identity"
            )
        decrypting = _Decrypting(source, identities(identity))
        try:
            yield decrypting.pieces()
        except MmsnapError:
            # What the service missed is a consequence.
            if decrypting.error is None:
                raise
        decrypting.end(file)


class _Reader(io.BufferedIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


class _Decrypting:
    """age writes into a pipe on a thread of its own; what it writes is read from there."""

    def __init__(self, source: BufferedReader, keys: list[Identity]) -> None:
        self.error: Exception | None = None
        self._source = source
        self._keys = keys
        reader, writer = os.pipe()
        self._reader, self._writer = os.fdopen(reader, "rb"), os.fdopen(writer, "wb")
        self._thread = threading.Thread(target=self._decrypt)

    def pieces(self) -> Iterator[bytes]:
        self._thread.start()
        with self._reader:
            yield from iter(lambda: self._reader.read1(_CHUNK_BYTES), b"")

    def end(self, file: Path) -> None:
        """MmsnapError when it could not be decrypted."""
        self._reader.close()
        self._thread.join()
        if self.error is not None:
            raise MmsnapError(
                f"{file} can not be decrypted: {self.error}",
                subject=str(file),
                hint="is it the right --identity, and the whole file?",
            )

    def _decrypt(self) -> None:
        try:
            with self._writer:
                pyrage.decrypt_io(self._source, self._writer, self._keys)
        except (pyrage.DecryptError, OSError) as error:
            self.error = error


def _lines(file: Path) -> list[str]:
    try:
        return _keys(file.read_text())
    except OSError as error:
        raise typer.BadParameter(
            f"{file} is neither a public key nor a file of them", param_hint="--encrypt-to"
        ) from error


def _keys(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
