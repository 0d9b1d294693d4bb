"""The fear: what passes by itself ends a request, or what never passes is waited for."""

from __future__ import annotations

import pytest

from mmsnap_operator.cluster import ApiError
from mmsnap_operator.restores.patience import refusal

_NO_ROLE = (
    'statefulsets.apps "hz" is forbidden: User "system:serviceaccount:memverge:operator" cannot '
    'get resource "statefulsets" in API group "apps" in the namespace "demo"'
)


@pytest.mark.parametrize(
    ("status", "message", "lasting"),
    [
        (403, _NO_ROLE, False),
        (403, 'pods "hz-0" is forbidden: exceeded quota: small', True),
        (403, 'admission webhook "x" denied the request: no', True),
        (404, "not found", False),
        (422, "invalid", True),
        (500, "etcdserver: request timed out", False),
    ],
)
def test_an_answer_of_the_api_server(status: int, message: str, lasting: bool) -> None:
    told = refusal(ApiError(status, message))
    assert told.lasting is lasting
    assert message in told.message
