"""Whoever made a request, and what the API server lets him do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmsnap_operator.cluster import Api
from mmsnap_operator.cluster.kinds import SUBJECT_ACCESS_REVIEW, Kind


@dataclass(frozen=True, slots=True)
class Requester:
    """As the API server knows him.

    Attributes:
        extra: what his authenticator says of him besides, which an authorizer may go by.
    """

    name: str
    uid: str
    groups: Sequence[str]
    extra: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, user: Mapping[str, Any]) -> Requester:
        """From the `userInfo` of an AdmissionReview."""
        return cls(
            user.get("username") or "",
            user.get("uid") or "",
            user.get("groups") or (),
            user.get("extra") or {},
        )

    async def may(
        self, api: Api, verb: str, kind: Kind, namespace: str = "", name: str = ""
    ) -> bool:
        """Whether he himself could do this; no namespace: everywhere. ApiError."""
        group, _, version = kind.api_version.rpartition("/")
        asked = {
            "verb": verb,
            "group": group,
            "version": version,
            "resource": kind.plural,
            "namespace": namespace,
            "name": name,
        }
        answer = await api.create(
            {
                "apiVersion": SUBJECT_ACCESS_REVIEW.api_version,
                "kind": SUBJECT_ACCESS_REVIEW.name,
                "metadata": {},
                "spec": {
                    "user": self.name,
                    "uid": self.uid,
                    "groups": list(self.groups),
                    "extra": {key: list(values) for key, values in self.extra.items()},
                    "resourceAttributes": {key: value for key, value in asked.items() if value},
                },
            }
        )
        return bool(answer.get("status", {}).get("allowed"))
