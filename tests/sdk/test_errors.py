"""Errors must tell what to do, be caught as what they are, and survive a process boundary."""

from __future__ import annotations

import pickle

import pytest

import mmsnap
from mmsnap import errors


def test_message_and_hint_are_both_shown() -> None:
    error = errors.PoolFullError("the pool is full", subject="./pool", hint="delete checkpoints")
    assert str(error) == "the pool is full (delete checkpoints)"
    assert (error.message, error.subject, error.retryable) == ("the pool is full", "./pool", False)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(errors.QuiesceTimeoutError, TimeoutError), (errors.NotFoundError, LookupError)],
)
def test_errors_are_also_the_built_in_ones_programs_expect(
    kind: type[errors.MmsnapError], builtin: type[Exception]
) -> None:
    assert issubclass(kind, builtin)
    assert issubclass(kind, errors.MmsnapError)


def test_errors_keep_their_details_when_pickled() -> None:
    error = errors.InUseError("in use", subject="main", hint="stop it", pid=42)
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.subject, copied.pid, copied.retryable) == (
        str(error),
        "main",
        42,
        True,
    )


def test_every_error_is_shown_by_the_package() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.MmsnapError):
            assert getattr(mmsnap, name) is kind
            assert name in mmsnap.__all__
