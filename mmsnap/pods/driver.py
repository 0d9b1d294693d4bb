"""The node's CSI driver: the kubelet asks it for a pod's volume, and gives it back.

Only inline, ephemeral volumes: there is no controller, nothing to provision and nothing to attach.
"""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import grpc

from mmsnap.errors import MmsnapError
from mmsnap.pods import csi_pb2 as csi
from mmsnap.pods import csi_pb2_grpc, registration_pb2_grpc
from mmsnap.pods import registration_pb2 as registration
from mmsnap.pods.pod import pod_of
from mmsnap.pods.residents import Residents

log = logging.getLogger(__name__)

DRIVER: Final = "mmsnap.memverge.com"
_CSI_VERSION: Final = "1.0.0"
_GRACE_SECONDS: Final = 2.0

_Context = grpc.aio.ServicerContext[Any, Any]


class Driver:
    """Serves the kubelet at two sockets in its folder. Of one event loop."""

    def __init__(self, residents: Residents, node: str, kubelet: Path) -> None:
        """Make it; nothing listens yet.

        Args:
            node: the name of this node.
            kubelet: the kubelet's folder, /var/lib/kubelet as a rule.
        """
        self._endpoint = kubelet / "plugins" / DRIVER / "csi.sock"
        self._registration = kubelet / "plugins_registry" / f"{DRIVER}-reg.sock"
        self._servers: list[grpc.aio.Server] = []
        self._node = _Node(residents, node)

    async def start(self) -> None:
        """Serve; the kubelet sees the second socket and asks there for the first."""
        server = grpc.aio.server()
        csi_pb2_grpc.add_IdentityServicer_to_server(_Identity(), server)  # type: ignore[no-untyped-call]
        csi_pb2_grpc.add_NodeServicer_to_server(self._node, server)  # type: ignore[no-untyped-call]
        await self._serve(server, self._endpoint)
        registrar = grpc.aio.server()
        registration_pb2_grpc.add_RegistrationServicer_to_server(  # type: ignore[no-untyped-call]
            _Registration(self._endpoint), registrar
        )
        await self._serve(registrar, self._registration)

    async def stop(self) -> None:
        """The kubelet sees the driver go with its socket, and tries again until it is back."""
        self._registration.unlink(missing_ok=True)
        for server in reversed(self._servers):
            await server.stop(_GRACE_SECONDS)

    async def _serve(self, server: grpc.aio.Server, socket: Path) -> None:
        await asyncio.to_thread(_make_room, socket)
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        self._servers.append(server)


class _Registration(registration_pb2_grpc.RegistrationServicer):
    def __init__(self, endpoint: Path) -> None:
        self._endpoint = endpoint

    async def GetInfo(  # noqa: N802
        self, request: registration.InfoRequest, context: _Context
    ) -> registration.PluginInfo:
        return registration.PluginInfo(
            type="CSIPlugin",
            name=DRIVER,
            endpoint=str(self._endpoint),
            supported_versions=[_CSI_VERSION],
        )

    async def NotifyRegistrationStatus(  # noqa: N802
        self, request: registration.RegistrationStatus, context: _Context
    ) -> registration.RegistrationStatusResponse:
        if request.plugin_registered:
            log.info("the kubelet knows the driver %s", DRIVER)
        else:
            log.error("the kubelet does not take the driver %s: %s", DRIVER, request.error)
        return registration.RegistrationStatusResponse()


class _Identity(csi_pb2_grpc.IdentityServicer):
    async def GetPluginInfo(  # noqa: N802
        self, request: csi.GetPluginInfoRequest, context: _Context
    ) -> csi.GetPluginInfoResponse:
        return csi.GetPluginInfoResponse(name=DRIVER, vendor_version=version("mmsnap"))

    async def GetPluginCapabilities(  # noqa: N802
        self, request: csi.GetPluginCapabilitiesRequest, context: _Context
    ) -> csi.GetPluginCapabilitiesResponse:
        return csi.GetPluginCapabilitiesResponse()

    async def Probe(self, request: csi.ProbeRequest, context: _Context) -> csi.ProbeResponse:  # noqa: N802
        return csi.ProbeResponse()


class _Node(csi_pb2_grpc.NodeServicer):
    def __init__(self, residents: Residents, name: str) -> None:
        self._residents = residents
        self._name = name

    async def NodePublishVolume(  # noqa: N802
        self, request: csi.NodePublishVolumeRequest, context: _Context
    ) -> csi.NodePublishVolumeResponse:
        try:
            pod = pod_of(request.volume_id, request.target_path, request.volume_context)
            await self._residents.publish(pod)
        except (MmsnapError, OSError, ValueError) as error:
            await _fail(context, error)
        return csi.NodePublishVolumeResponse()

    async def NodeUnpublishVolume(  # noqa: N802
        self, request: csi.NodeUnpublishVolumeRequest, context: _Context
    ) -> csi.NodeUnpublishVolumeResponse:
        try:
            await self._residents.unpublish(request.volume_id, Path(request.target_path))
        except (MmsnapError, OSError) as error:
            await _fail(context, error)
        return csi.NodeUnpublishVolumeResponse()

    async def NodeGetCapabilities(  # noqa: N802
        self, request: csi.NodeGetCapabilitiesRequest, context: _Context
    ) -> csi.NodeGetCapabilitiesResponse:
        return csi.NodeGetCapabilitiesResponse()

    async def NodeGetInfo(  # noqa: N802
        self, request: csi.NodeGetInfoRequest, context: _Context
    ) -> csi.NodeGetInfoResponse:
        return csi.NodeGetInfoResponse(node_id=self._name)


def _make_room(socket: Path) -> None:
    socket.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)


async def _fail(context: _Context, error: Exception) -> None:
    """The kubelet shows the text as an event of the pod, and tries again."""
    log.warning("the kubelet was refused: %s", error)
    hint = getattr(error, "hint", None)
    text = f"{error} ({hint})" if hint and hint not in str(error) else str(error)
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, text)
