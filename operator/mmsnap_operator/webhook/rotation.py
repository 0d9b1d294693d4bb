"""Which certificates the webhook is to have: pure, the time is given.

The API server trusts a list of authorities, and hears of a change of it some time later. So a new
authority is announced, and signs only when it has been known everywhere for a while (`settling`);
the old one stays on the list until every server has shown a certificate of the new one for as long.
At no time is a certificate shown that somebody does not trust yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from mmsnap_operator.certificates import Pair, Subject, is_due, issue, new_authority

_RENEWED_WHEN_LEFT: Final = 1 / 3


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things last; tests have seconds."""

    authority: timedelta = timedelta(days=730)
    serving: timedelta = timedelta(days=90)
    settling: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Authority:
    """One that signs, has signed or will sign.

    Attributes:
        announced: when the API server was told to trust it; None: not yet.
    """

    pair: Pair
    announced: datetime | None = None


@dataclass(frozen=True, slots=True)
class Certificates:
    """All that is kept; authorities from the oldest to the newest.

    Attributes:
        since: when the serving certificate was made.
    """

    authorities: Sequence[Authority]
    serving: Pair
    since: datetime

    @property
    def bundle(self) -> bytes:
        """What the API server is to trust."""
        return b"".join(authority.pair.certificate for authority in self.authorities)

    def announced(self, told_of: Certificates, now: datetime) -> Certificates:
        """The same, when the API server was told of the authorities of `told_of` now."""
        pairs = [authority.pair for authority in told_of.authorities]
        told = [
            replace(authority, announced=now)
            if authority.pair in pairs and authority.announced is None
            else authority
            for authority in self.authorities
        ]
        return replace(self, authorities=tuple(told))


def advance(
    kept: Certificates | None, subject: Subject, lifetimes: Lifetimes, now: datetime
) -> Certificates:
    """What is to be kept from now on; the same again as long as nothing is due."""
    alive = [one for one in kept.authorities if _end(one.pair) > now] if kept else []
    if not alive or _left(alive[-1].pair, now) < lifetimes.authority * _RENEWED_WHEN_LEFT:
        alive.append(Authority(new_authority(now, lifetimes.authority)))
    settled = [one for one in alive if _has_settled(one.announced, lifetimes, now)]
    signer = (settled or alive)[-1 if settled else 0]
    serving, since = (kept.serving, kept.since) if kept else (None, now)
    if serving is None or _is_due(serving, signer.pair, subject, lifetimes, now):
        serving, since = _issue(signer.pair, subject, lifetimes, now), now
    if _has_settled(since, lifetimes, now):
        alive = alive[alive.index(signer) :]
    return Certificates(tuple(alive), serving, since)


def _has_settled(since: datetime | None, lifetimes: Lifetimes, now: datetime) -> bool:
    return since is not None and since + lifetimes.settling <= now


def _issue(signer: Pair, subject: Subject, lifetimes: Lifetimes, now: datetime) -> Pair:
    """It does not outlive who signs it."""
    return issue(signer, subject, now, min(lifetimes.serving, _end(signer) - now))


def _is_due(
    serving: Pair, signer: Pair, subject: Subject, lifetimes: Lifetimes, now: datetime
) -> bool:
    """Another one, unless it would end at the same time: when its authority does."""
    lasts_longer = _end(serving) < _end(signer)
    margin = lifetimes.serving * _RENEWED_WHEN_LEFT if lasts_longer else timedelta(0)
    return is_due(serving, signer, subject, now, margin)


def _end(pair: Pair) -> datetime:
    return x509.load_pem_x509_certificate(pair.certificate).not_valid_after_utc


def _left(pair: Pair, now: datetime) -> timedelta:
    return _end(pair) - now
