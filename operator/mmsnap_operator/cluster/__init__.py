"""The API server, as the operator speaks to it: a few verbs over manifests that are plain dicts."""

from mmsnap_operator.cluster.api import Api, ApiError
from mmsnap_operator.cluster.kinds import Kind, kind_of

__all__ = ["Api", "ApiError", "Kind", "kind_of"]
