"""While certificates are renewed, nobody is shown one that he does not trust yet, or any more."""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cryptography import x509

from mmsnap_operator.certificates import Pair, Subject
from mmsnap_operator.webhook.keeping import certificates_of, secret_of
from mmsnap_operator.webhook.rotation import Certificates, Lifetimes, advance

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SUBJECT = Subject("webhook.memverge.svc")
HOUR = timedelta(hours=1)
LIFETIMES = Lifetimes(authority=30 * HOUR, serving=12 * HOUR, settling=2 * HOUR)


def step(kept: Certificates | None, now: datetime) -> Certificates:
    return advance(kept, SUBJECT, LIFETIMES, now)


def is_trusted(pair: Pair, bundle: bytes, now: datetime) -> bool:
    """Whether a client with this bundle takes it now."""
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        return False
    for authority in x509.load_pem_x509_certificates(bundle):
        try:
            certificate.verify_directly_issued_by(authority)
        except Exception:
            continue
        return now < authority.not_valid_after_utc
    return False


def life(hours: int, gaps: random.Random) -> Iterator[tuple[datetime, Certificates]]:
    """What an operator keeps that looks at odd times, and announces at once."""
    now, kept = BEGIN, None
    while now < BEGIN + hours * HOUR:
        kept = step(kept, now)
        kept = kept.announced(kept, now)
        yield now, kept
        now += timedelta(minutes=gaps.randint(5, 30))


@pytest.mark.parametrize("seed", range(5))
def test_who_heard_of_the_bundle_late_trusts_every_server_all_the_same(seed: int) -> None:
    looks = list(life(100, random.Random(seed)))
    shown = 0
    for number, (now, kept) in enumerate(looks):
        # The API servers have any bundle of the time that is given to settle; other replicas of
        # the operator still show what they took up at an earlier look.
        late = [seen for at, seen in looks[:number] if now - at < LIFETIMES.settling]
        for bundle in [kept.bundle, *(seen.bundle for seen in late)]:
            assert is_trusted(kept.serving, bundle, now)
        for seen in late[-2:]:
            assert is_trusted(seen.serving, kept.bundle, now)
        shown += number > 0 and kept.serving != looks[number - 1][1].serving
    assert shown >= 4, "certificates were renewed in between"
    authorities = {one.pair for _, kept in looks for one in kept.authorities}
    assert len(authorities) >= 3, "authorities were too"


def test_nothing_is_made_again_while_nothing_is_due() -> None:
    looks = [kept for _, kept in life(7, random.Random(1))]
    assert all(one == other for one, other in pairwise(looks))


def test_an_authority_that_the_api_server_was_not_told_of_does_not_sign() -> None:
    now, kept = BEGIN, None
    while now < BEGIN + 28 * HOUR:
        kept = step(kept, now)
        now += HOUR
    assert kept is not None
    assert len(kept.authorities) == 2
    assert is_trusted(kept.serving, kept.authorities[0].pair.certificate, now)
    made = kept.serving
    assert step(kept, now + timedelta(minutes=1)).serving == made, "made again at every look"


def test_an_operator_that_was_away_for_long_begins_anew() -> None:
    kept = step(None, BEGIN)
    later = BEGIN + 100 * HOUR
    anew = step(kept, later)
    assert is_trusted(anew.serving, anew.bundle, later)
    assert len(anew.authorities) == 1


def test_another_name_has_another_certificate() -> None:
    kept = step(None, BEGIN)
    other = advance(kept, Subject("moved.memverge.svc"), LIFETIMES, BEGIN)
    assert other.serving != kept.serving
    assert other.bundle == kept.bundle


def test_clients_that_are_strict_accept_them() -> None:
    kept = step(None, datetime.now(UTC))
    context = ssl.create_default_context(cadata=kept.bundle.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert context.get_ca_certs()


def test_what_is_kept_in_the_secret_is_read_back() -> None:
    kept = step(None, BEGIN)
    kept = kept.announced(kept, BEGIN)
    secret = secret_of(kept, "memverge", "7")
    assert secret["metadata"]["resourceVersion"] == "7"
    assert certificates_of(secret) == kept


@pytest.mark.parametrize("key", ["tls.crt", "tls.key", "authorities.json"])
@pytest.mark.parametrize("value", [None, "", "bm9uc2Vuc2U=", "!"])
def test_a_secret_that_makes_no_sense_is_found_out(key: str, value: str | None) -> None:
    secret = secret_of(step(None, BEGIN), "memverge", None)
    if value is None:
        del secret["data"][key]
    else:
        secret["data"][key] = value
    with pytest.raises(ValueError, match="makes no sense"):
        certificates_of(secret)
