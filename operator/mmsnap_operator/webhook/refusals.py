"""The one error of injection: why a pod can not be captured, in words for whoever made the pod."""

from __future__ import annotations


class Refusal(Exception):
    """The pod stays as it is. The message says why, and what to do about it."""
