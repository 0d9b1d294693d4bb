"""All objects of an installation, in the order in which they are applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmsnap_operator.definitions import defined
from mmsnap_operator.installation import rights, user_roles, workload
from mmsnap_operator.installation.settings import Installation


def objects(wanted: Installation) -> Sequence[dict[str, Any]]:
    """Of this installation."""
    return [
        *defined(),
        workload.namespace(wanted),
        workload.service_account(wanted),
        rights.cluster_role(),
        rights.role(wanted.namespace),
        *rights.bindings(wanted.namespace),
        *user_roles.user_roles(),
        workload.service(wanted),
        workload.deployment(wanted),
    ]
