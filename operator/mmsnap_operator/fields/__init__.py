"""Every field of a MemoryMachine, in one table: what the schema, the report of ignored fields and
the reading of a specification are made from."""

from mmsnap_operator.fields.field import UNSET, Field
from mmsnap_operator.fields.status import STATUS
from mmsnap_operator.fields.table import SPEC

__all__ = ["SPEC", "STATUS", "UNSET", "Field"]
