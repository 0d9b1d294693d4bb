"""The connection to the agents: to any one of them, because each can do everything."""

from mmsnap_operator.service.agents import Agents

__all__ = ["Agents"]
