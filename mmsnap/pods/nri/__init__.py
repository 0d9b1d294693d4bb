"""The node service as an NRI plugin: puts `mmsnap-init` in front of a container's command.

Only where the webhook asked for it, because the pod left the command to its image. It changes
nothing else of a container, and never keeps one waiting.
"""

from mmsnap.pods.nri.plugin import DEFAULT_SOCKET, NriPlugin
from mmsnap.pods.nri.wrapping import INIT_COMMAND, WRAP_ANNOTATION, wrap_named

__all__ = ["DEFAULT_SOCKET", "INIT_COMMAND", "WRAP_ANNOTATION", "NriPlugin", "wrap_named"]
