"""etcd as a place for records: reading them, and changing some of them if others are as they were.

Speaks to the JSON gateway of etcd 3.4 or newer, by etcd3gw. Which of the endpoints answers does not
matter: reads are linearizable. A call whose answer is lost is made again elsewhere, so a change may
have been made although this one says that something was not as expected: who asks has to look.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from etcd3gw import exceptions
from etcd3gw.client import Etcd3Client
from requests import RequestException

from mmsnap.catalog.catalog import NoMajorityError
from mmsnap.catalog.endpoints import parse_endpoint
from mmsnap.errors import AbortedError

TRIES: Final = 50  # of a change that others keep overtaking
_API: Final = "/v3/"
_CONNECT_SECONDS: Final = 1.0
# Of a call through all endpoints: less than anybody waits for the turn of one who asks.
_BUDGET_SECONDS: Final = 8.0
_ROUNDS: Final = 2  # through all endpoints at most, before it is told that none answers

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of certificates, in PEM: whom to trust, and who this is."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Found:
    """A record and its revision; 0: there is none."""

    record: Record | None
    revision: int


class Etcd:
    """The records under a prefix. Used by one thread at a time."""

    def __init__(
        self, endpoints: Sequence[str], prefix: str = "/mmsnap/", tls: Tls | None = None
    ) -> None:
        """`endpoints`: like http://10.0.0.1:2379; ValueError."""
        if not endpoints:
            raise ValueError("etcd needs an endpoint at least")
        self._try_seconds = _BUDGET_SECONDS / len(endpoints)
        self._clients = [_client(endpoint, tls, self._try_seconds) for endpoint in endpoints]
        self._prefix = prefix

    def get(self, key: str) -> Found:
        """One record."""
        found = self._ask(lambda client: client.get(self._prefix + key, metadata=True))
        for value, metadata in found:
            return Found(json.loads(value), int(metadata["mod_revision"]))
        return Found(None, 0)

    def list(self, prefix: str) -> list[Record]:
        """All records whose keys begin with `prefix`, by key."""
        found = self._ask(
            lambda client: client.get_prefix(
                self._prefix + prefix, sort_order="ascend", sort_target="key"
            )
        )
        return [json.loads(value) for value, _ in found]

    def change(
        self,
        expected: Mapping[str, int],
        puts: Mapping[str, Record],
        deletes: Iterable[str] = (),
    ) -> bool:
        """Puts and deletes all of it, if every key of `expected` has that revision still."""
        transaction = {
            "compare": [
                {
                    "key": self._encoded_key(key),
                    "target": "MOD",
                    "result": "EQUAL",
                    "mod_revision": revision,
                }
                for key, revision in expected.items()
            ],
            "success": [
                *(
                    {
                        "request_put": {
                            "key": self._encoded_key(key),
                            "value": _encoded(json.dumps(record)),
                        }
                    }
                    for key, record in puts.items()
                ),
                *({"request_delete_range": {"key": self._encoded_key(key)}} for key in deletes),
            ],
        }
        answer = self._ask(lambda client: client.transaction(transaction))
        return bool(answer.get("succeeded"))

    def close(self) -> None:
        for client in self._clients:
            client.session.close()

    def _encoded_key(self, key: str) -> str:
        return _encoded(self._prefix + key)

    def _ask(self, call: Any) -> Any:
        refusal: Exception | None = None
        last_begin = time.monotonic() + _BUDGET_SECONDS - self._try_seconds
        for number in range(_ROUNDS * len(self._clients)):
            if number >= len(self._clients) and time.monotonic() > last_begin:
                break
            try:
                return call(self._clients[0])
            except (exceptions.Etcd3Exception, RequestException) as error:
                refusal = error  # the latter: one that died in the middle of its answer
                # The next call begins where this one will have ended.
                self._clients.append(self._clients.pop(0))
        told = str(getattr(refusal, "detail_text", "") or refusal).strip().splitlines()
        raise NoMajorityError(
            f"etcd does not answer: {told[0][:200] if told else type(refusal).__name__}",
            hint="a majority of its members has to be up and within reach",
        ) from refusal


def change_record(etcd: Etcd, key: str, change: Callable[[Record | None], Record | None]) -> None:
    """Writes what `change` makes of one record, until it holds; None: it is to be gone."""
    for _ in range(TRIES):
        found = etcd.get(key)
        wanted = change(found.record)
        if found.record == wanted:
            return
        puts = {} if wanted is None else {key: wanted}
        if etcd.change({key: found.revision}, puts, [key] if wanted is None else ()):
            return
    raise AbortedError(f"{key} is changed by others all the time", hint="try again")


def _client(endpoint: str, tls: Tls | None, answer_seconds: float) -> Etcd3Client:
    scheme, host, port = parse_endpoint(endpoint)
    files = (
        {}
        if tls is None
        else {
            "ca_cert": str(tls.authority),
            "cert_cert": str(tls.certificate),
            "cert_key": str(tls.key),
        }
    )
    return Etcd3Client(
        host=host,
        port=port,
        protocol=scheme,
        # requests takes both; a machine that is gone is found out sooner than a slow answer.
        timeout=(min(_CONNECT_SECONDS, answer_seconds), answer_seconds),  # type: ignore[arg-type]
        api_path=_API,
        **files,  # type: ignore[arg-type]
    )


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
