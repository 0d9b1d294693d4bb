"""The cluster's own certificate authority: who is a node, who is etcd, who is the operator.

Pure: bytes in, bytes out, the time is given. Where they are kept is decided in `credentials`.
Elliptic keys, because issuing one takes a millisecond; a year for the authority's successors would
mean to restart everybody, so it is valid for ten.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_NAME: Final = "memory-machine"
_AUTHORITY_VALID: Final = datetime.timedelta(days=3650)
_VALID: Final = datetime.timedelta(days=90)
_RENEWED_BEFORE: Final = datetime.timedelta(days=30)
_BACKDATED: Final = datetime.timedelta(minutes=5)  # clocks of nodes differ
COMMON_NAME_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a certificate is for: a name, and where it is reached."""

    name: str
    hosts: Sequence[str] = ()
    addresses: Sequence[str] = ()


def new_authority(now: datetime.datetime, valid: datetime.timedelta = _AUTHORITY_VALID) -> Pair:
    """An authority that has issued nothing yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(_AUTHORITY_NAME)
    certificate = (
        _builder(name, name, key.public_key(), now, valid)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_bytes(key))


def is_authority(pair: Pair, now: datetime.datetime) -> bool:
    """Whether it can issue certificates that outlive the next renewal."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, None)
    except (ValueError, TypeError):
        return False
    lasts = certificate.not_valid_after_utc - now > _VALID
    return lasts and key.public_key() == certificate.public_key()


def issue(
    authority: Pair,
    subject: Subject,
    now: datetime.datetime,
    valid: datetime.timedelta = _VALID,
) -> Pair:
    """A certificate for both ends of a connection."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    signing_key = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(issuer.subject, _name(subject.name), key.public_key(), now, valid)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives(subject)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
        .sign(signing_key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_bytes(key))


def is_due(
    pair: Pair,
    authority: Pair,
    subject: Subject,
    now: datetime.datetime,
    renewed_before: datetime.timedelta = _RENEWED_BEFORE,
) -> bool:
    """Whether another one has to be issued: soon over, of another authority, for other places."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        issuer = x509.load_pem_x509_certificate(authority.certificate)
        key = serialization.load_pem_private_key(pair.key, None)
        certificate.verify_directly_issued_by(issuer)
        told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return True
    return (
        certificate.not_valid_after_utc - now < renewed_before
        or certificate.subject != _name(subject.name)
        or key.public_key() != certificate.public_key()
        or set(told) != set(_alternatives(subject))
    )


def _builder(
    issuer: x509.Name,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    valid: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + valid)
    )


def _name(common_name: str) -> x509.Name:
    """Longer names than fit are in the alternative names only."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:COMMON_NAME_MAX])])


def _alternatives(subject: Subject) -> list[x509.GeneralName]:
    hosts = dict.fromkeys([subject.name, *subject.hosts])
    addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in subject.addresses]
    return [*map(x509.DNSName, hosts), *addresses]


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
