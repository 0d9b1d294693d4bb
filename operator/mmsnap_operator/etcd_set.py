"""etcd's StatefulSet, and its volumes as long as there is no data in them.

A storage class can not be changed in place. While no volume was ever bound, set and claims are made
anew: the set first, or its controller would make the claims again as they were. One that was
quicker all the same is found in the next run, and so is what an older set left behind: a claim
that waits for a class which nobody wants would be waited for for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.cluster import Api, ApiError, kinds

log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]

_INVALID: Final = 422


async def apply_set(api: Api, wanted: Manifest) -> None:
    """Make the set what it is to be; volumes that were bound stay as they are."""
    claims = await _claims(api, wanted)
    await _drop(api, wanted, await _stale(api, wanted, claims))
    try:
        await api.apply(wanted)
    except ApiError as error:
        if error.status != _INVALID:
            raise
        if not all(map(_never_bound, claims)):
            log.warning("etcd keeps its volumes: %s", error)
            return
        metadata = wanted["metadata"]
        await api.delete(kinds.STATEFUL_SET, metadata["name"], metadata["namespace"])
        await _drop(api, wanted, await _claims(api, wanted))
        await api.apply(wanted)


async def _claims(api: Api, wanted: Manifest) -> Sequence[Manifest]:
    labels = wanted["spec"]["selector"]["matchLabels"]
    return await api.list(kinds.VOLUME_CLAIM, wanted["metadata"]["namespace"], labels)


async def _stale(api: Api, wanted: Manifest, claims: Sequence[Manifest]) -> list[Manifest]:
    """Those of another class than the one that is wanted."""
    (template,) = wanted["spec"]["volumeClaimTemplates"]
    storage_class = template["spec"].get("storageClassName")
    if storage_class:
        possible = {storage_class}
    else:
        # The default at some time; which one it was is not written anywhere.
        possible = {one["metadata"]["name"] for one in await api.list(kinds.STORAGE_CLASS)}
    return [
        claim for claim in claims if claim["spec"].get("storageClassName") not in {*possible, None}
    ]


async def _drop(api: Api, wanted: Manifest, claims: Sequence[Manifest]) -> None:
    """Those never bound, with the pods that wait: a claim does not go before who uses it."""
    (template,) = wanted["spec"]["volumeClaimTemplates"]
    for claim in filter(_never_bound, claims):
        name, namespace = claim["metadata"]["name"], claim["metadata"]["namespace"]
        log.info("etcd's claim %s was never bound: made anew", name)
        await api.delete(kinds.VOLUME_CLAIM, name, namespace)
        pod = name.removeprefix(f"{template['metadata']['name']}-")
        await api.delete(kinds.POD, pod, namespace)


def _never_bound(claim: Manifest) -> bool:
    return bool(claim.get("status", {}).get("phase", "Pending") == "Pending")
