"""The custom resource definitions, one module a kind; written as manifests, which are committed."""

from __future__ import annotations

from mmsnap_operator.definitions.writing import as_yaml, defined, files, write

__all__ = ["as_yaml", "defined", "files", "write"]
