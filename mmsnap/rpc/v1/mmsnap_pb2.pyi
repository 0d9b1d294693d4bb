from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnLoss(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_LOSS_UNSPECIFIED: _ClassVar[OnLoss]
    ON_LOSS_ROLLBACK: _ClassVar[OnLoss]
    ON_LOSS_WAIT: _ClassVar[OnLoss]
    ON_LOSS_FRESH: _ClassVar[OnLoss]

class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENGINE_UNSPECIFIED: _ClassVar[Engine]
    ENGINE_MEMORY: _ClassVar[Engine]
    ENGINE_PROCESS: _ClassVar[Engine]

class MemberState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MEMBER_STATE_UNSPECIFIED: _ClassVar[MemberState]
    MEMBER_STATE_ATTACHED: _ClassVar[MemberState]
    MEMBER_STATE_JOINING: _ClassVar[MemberState]
    MEMBER_STATE_LOST: _ClassVar[MemberState]
    MEMBER_STATE_LEFT: _ClassVar[MemberState]
ON_LOSS_UNSPECIFIED: OnLoss
ON_LOSS_ROLLBACK: OnLoss
ON_LOSS_WAIT: OnLoss
ON_LOSS_FRESH: OnLoss
ENGINE_UNSPECIFIED: Engine
ENGINE_MEMORY: Engine
ENGINE_PROCESS: Engine
MEMBER_STATE_UNSPECIFIED: MemberState
MEMBER_STATE_ATTACHED: MemberState
MEMBER_STATE_JOINING: MemberState
MEMBER_STATE_LOST: MemberState
MEMBER_STATE_LEFT: MemberState

class AttachRequest(_message.Message):
    __slots__ = ("group", "member", "pid", "size_bytes", "on_loss", "resuming", "followed_restore_epoch", "engine", "incarnation")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ON_LOSS_FIELD_NUMBER: _ClassVar[int]
    RESUMING_FIELD_NUMBER: _ClassVar[int]
    FOLLOWED_RESTORE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    group: str
    member: str
    pid: int
    size_bytes: int
    on_loss: OnLoss
    resuming: bool
    followed_restore_epoch: int
    engine: Engine
    incarnation: int
    def __init__(self, group: _Optional[str] = ..., member: _Optional[str] = ..., pid: _Optional[int] = ..., size_bytes: _Optional[int] = ..., on_loss: _Optional[_Union[OnLoss, str]] = ..., resuming: _Optional[bool] = ..., followed_restore_epoch: _Optional[int] = ..., engine: _Optional[_Union[Engine, str]] = ..., incarnation: _Optional[int] = ...) -> None: ...

class AttachResponse(_message.Message):
    __slots__ = ("pool", "region", "socket", "token", "head", "restore_epoch", "committed_epochs", "restore_pending", "incarnation")
    POOL_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    SOCKET_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    RESTORE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    RESTORE_PENDING_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    pool: str
    region: str
    socket: str
    token: int
    head: Checkpoint
    restore_epoch: int
    committed_epochs: _containers.RepeatedScalarFieldContainer[int]
    restore_pending: bool
    incarnation: int
    def __init__(self, pool: _Optional[str] = ..., region: _Optional[str] = ..., socket: _Optional[str] = ..., token: _Optional[int] = ..., head: _Optional[_Union[Checkpoint, _Mapping]] = ..., restore_epoch: _Optional[int] = ..., committed_epochs: _Optional[_Iterable[int]] = ..., restore_pending: _Optional[bool] = ..., incarnation: _Optional[int] = ...) -> None: ...

class DetachRequest(_message.Message):
    __slots__ = ("group", "member")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    group: str
    member: str
    def __init__(self, group: _Optional[str] = ..., member: _Optional[str] = ...) -> None: ...

class DetachResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CheckpointRequest(_message.Message):
    __slots__ = ("group", "name", "labels", "max_pause_ns", "timeout_ns", "automatic", "replicas", "wait")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GROUP_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MAX_PAUSE_NS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_NS_FIELD_NUMBER: _ClassVar[int]
    AUTOMATIC_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    group: str
    name: str
    labels: _containers.ScalarMap[str, str]
    max_pause_ns: int
    timeout_ns: int
    automatic: bool
    replicas: int
    wait: str
    def __init__(self, group: _Optional[str] = ..., name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., max_pause_ns: _Optional[int] = ..., timeout_ns: _Optional[int] = ..., automatic: _Optional[bool] = ..., replicas: _Optional[int] = ..., wait: _Optional[str] = ...) -> None: ...

class CheckpointResponse(_message.Message):
    __slots__ = ("progress", "checkpoint")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    checkpoint: Checkpoint
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("epoch", "step")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    step: str
    def __init__(self, epoch: _Optional[int] = ..., step: _Optional[str] = ...) -> None: ...

class RestoreRequest(_message.Message):
    __slots__ = ("group", "checkpoint", "check_only")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    CHECK_ONLY_FIELD_NUMBER: _ClassVar[int]
    group: str
    checkpoint: str
    check_only: bool
    def __init__(self, group: _Optional[str] = ..., checkpoint: _Optional[str] = ..., check_only: _Optional[bool] = ...) -> None: ...

class RestoreResponse(_message.Message):
    __slots__ = ("checkpoint", "behind", "awaited")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    BEHIND_FIELD_NUMBER: _ClassVar[int]
    AWAITED_FIELD_NUMBER: _ClassVar[int]
    checkpoint: Checkpoint
    behind: _containers.RepeatedScalarFieldContainer[str]
    awaited: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ..., behind: _Optional[_Iterable[str]] = ..., awaited: _Optional[_Iterable[str]] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("group", "epoch", "name", "parent_epoch", "created_ns", "pause_ns", "held_ns", "hook_ns", "bytes_written", "consistency", "durability", "automatic", "pinned", "head", "labels", "members", "replicas", "pending", "restore_epoch")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GROUP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARENT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    CREATED_NS_FIELD_NUMBER: _ClassVar[int]
    PAUSE_NS_FIELD_NUMBER: _ClassVar[int]
    HELD_NS_FIELD_NUMBER: _ClassVar[int]
    HOOK_NS_FIELD_NUMBER: _ClassVar[int]
    BYTES_WRITTEN_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    AUTOMATIC_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    RESTORE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    group: str
    epoch: int
    name: str
    parent_epoch: int
    created_ns: int
    pause_ns: int
    held_ns: int
    hook_ns: int
    bytes_written: int
    consistency: str
    durability: str
    automatic: bool
    pinned: bool
    head: bool
    labels: _containers.ScalarMap[str, str]
    members: _containers.RepeatedCompositeFieldContainer[MemberCheckpoint]
    replicas: int
    pending: bool
    restore_epoch: int
    def __init__(self, group: _Optional[str] = ..., epoch: _Optional[int] = ..., name: _Optional[str] = ..., parent_epoch: _Optional[int] = ..., created_ns: _Optional[int] = ..., pause_ns: _Optional[int] = ..., held_ns: _Optional[int] = ..., hook_ns: _Optional[int] = ..., bytes_written: _Optional[int] = ..., consistency: _Optional[str] = ..., durability: _Optional[str] = ..., automatic: _Optional[bool] = ..., pinned: _Optional[bool] = ..., head: _Optional[bool] = ..., labels: _Optional[_Mapping[str, str]] = ..., members: _Optional[_Iterable[_Union[MemberCheckpoint, _Mapping]]] = ..., replicas: _Optional[int] = ..., pending: _Optional[bool] = ..., restore_epoch: _Optional[int] = ...) -> None: ...

class MemberCheckpoint(_message.Message):
    __slots__ = ("member", "pause_ns", "waited_ns", "hook_ns", "skew_ns", "bytes_written", "crash_only", "engine", "freeze_ns", "dump_ns", "thaw_ns", "node", "copies")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    PAUSE_NS_FIELD_NUMBER: _ClassVar[int]
    WAITED_NS_FIELD_NUMBER: _ClassVar[int]
    HOOK_NS_FIELD_NUMBER: _ClassVar[int]
    SKEW_NS_FIELD_NUMBER: _ClassVar[int]
    BYTES_WRITTEN_FIELD_NUMBER: _ClassVar[int]
    CRASH_ONLY_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    FREEZE_NS_FIELD_NUMBER: _ClassVar[int]
    DUMP_NS_FIELD_NUMBER: _ClassVar[int]
    THAW_NS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    member: str
    pause_ns: int
    waited_ns: int
    hook_ns: int
    skew_ns: int
    bytes_written: int
    crash_only: bool
    engine: Engine
    freeze_ns: int
    dump_ns: int
    thaw_ns: int
    node: str
    copies: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, member: _Optional[str] = ..., pause_ns: _Optional[int] = ..., waited_ns: _Optional[int] = ..., hook_ns: _Optional[int] = ..., skew_ns: _Optional[int] = ..., bytes_written: _Optional[int] = ..., crash_only: _Optional[bool] = ..., engine: _Optional[_Union[Engine, str]] = ..., freeze_ns: _Optional[int] = ..., dump_ns: _Optional[int] = ..., thaw_ns: _Optional[int] = ..., node: _Optional[str] = ..., copies: _Optional[_Iterable[str]] = ...) -> None: ...

class WaitCheckpointRequest(_message.Message):
    __slots__ = ("group", "checkpoint", "durability", "timeout_ns")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_NS_FIELD_NUMBER: _ClassVar[int]
    group: str
    checkpoint: str
    durability: str
    timeout_ns: int
    def __init__(self, group: _Optional[str] = ..., checkpoint: _Optional[str] = ..., durability: _Optional[str] = ..., timeout_ns: _Optional[int] = ...) -> None: ...

class WaitCheckpointResponse(_message.Message):
    __slots__ = ("checkpoint",)
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: Checkpoint
    def __init__(self, checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ...) -> None: ...

class ListCheckpointsRequest(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: str
    def __init__(self, group: _Optional[str] = ...) -> None: ...

class ListCheckpointsResponse(_message.Message):
    __slots__ = ("checkpoints",)
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    checkpoints: _containers.RepeatedCompositeFieldContainer[Checkpoint]
    def __init__(self, checkpoints: _Optional[_Iterable[_Union[Checkpoint, _Mapping]]] = ...) -> None: ...

class ShowCheckpointRequest(_message.Message):
    __slots__ = ("group", "checkpoint")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    group: str
    checkpoint: str
    def __init__(self, group: _Optional[str] = ..., checkpoint: _Optional[str] = ...) -> None: ...

class ShowCheckpointResponse(_message.Message):
    __slots__ = ("checkpoint",)
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: Checkpoint
    def __init__(self, checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ...) -> None: ...

class DeleteCheckpointRequest(_message.Message):
    __slots__ = ("group", "checkpoint")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    group: str
    checkpoint: str
    def __init__(self, group: _Optional[str] = ..., checkpoint: _Optional[str] = ...) -> None: ...

class DeleteCheckpointResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PinCheckpointRequest(_message.Message):
    __slots__ = ("group", "checkpoint", "pinned")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    group: str
    checkpoint: str
    pinned: bool
    def __init__(self, group: _Optional[str] = ..., checkpoint: _Optional[str] = ..., pinned: _Optional[bool] = ...) -> None: ...

class PinCheckpointResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PruneRequest(_message.Message):
    __slots__ = ("group", "keep_last", "keep_within_ns", "dry_run")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    KEEP_LAST_FIELD_NUMBER: _ClassVar[int]
    KEEP_WITHIN_NS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    group: str
    keep_last: int
    keep_within_ns: int
    dry_run: bool
    def __init__(self, group: _Optional[str] = ..., keep_last: _Optional[int] = ..., keep_within_ns: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class PruneResponse(_message.Message):
    __slots__ = ("checkpoints",)
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    checkpoints: _containers.RepeatedCompositeFieldContainer[Checkpoint]
    def __init__(self, checkpoints: _Optional[_Iterable[_Union[Checkpoint, _Mapping]]] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("group", "every_ns", "keep_last", "keep_within_ns", "wait", "timeout_ns", "max_pause_ns", "replicas", "labels", "suspended", "node", "consecutive_failures", "last_error", "last_checkpoint", "last_success_ns", "waiting")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GROUP_FIELD_NUMBER: _ClassVar[int]
    EVERY_NS_FIELD_NUMBER: _ClassVar[int]
    KEEP_LAST_FIELD_NUMBER: _ClassVar[int]
    KEEP_WITHIN_NS_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_NS_FIELD_NUMBER: _ClassVar[int]
    MAX_PAUSE_NS_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    CONSECUTIVE_FAILURES_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    LAST_CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    LAST_SUCCESS_NS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    group: str
    every_ns: int
    keep_last: int
    keep_within_ns: int
    wait: str
    timeout_ns: int
    max_pause_ns: int
    replicas: int
    labels: _containers.ScalarMap[str, str]
    suspended: bool
    node: str
    consecutive_failures: int
    last_error: str
    last_checkpoint: str
    last_success_ns: int
    waiting: bool
    def __init__(self, group: _Optional[str] = ..., every_ns: _Optional[int] = ..., keep_last: _Optional[int] = ..., keep_within_ns: _Optional[int] = ..., wait: _Optional[str] = ..., timeout_ns: _Optional[int] = ..., max_pause_ns: _Optional[int] = ..., replicas: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., suspended: _Optional[bool] = ..., node: _Optional[str] = ..., consecutive_failures: _Optional[int] = ..., last_error: _Optional[str] = ..., last_checkpoint: _Optional[str] = ..., last_success_ns: _Optional[int] = ..., waiting: _Optional[bool] = ...) -> None: ...

class SetScheduleRequest(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class SetScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class ListSchedulesRequest(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: str
    def __init__(self, group: _Optional[str] = ...) -> None: ...

class ListSchedulesResponse(_message.Message):
    __slots__ = ("schedules",)
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    schedules: _containers.RepeatedCompositeFieldContainer[Schedule]
    def __init__(self, schedules: _Optional[_Iterable[_Union[Schedule, _Mapping]]] = ...) -> None: ...

class RemoveScheduleRequest(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: str
    def __init__(self, group: _Optional[str] = ...) -> None: ...

class RemoveScheduleResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyCheckpointRequest(_message.Message):
    __slots__ = ("group", "checkpoint", "any_copy")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    ANY_COPY_FIELD_NUMBER: _ClassVar[int]
    group: str
    checkpoint: str
    any_copy: bool
    def __init__(self, group: _Optional[str] = ..., checkpoint: _Optional[str] = ..., any_copy: _Optional[bool] = ...) -> None: ...

class VerifyCheckpointResponse(_message.Message):
    __slots__ = ("members",)
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, members: _Optional[_Iterable[str]] = ...) -> None: ...

class CloneRequest(_message.Message):
    __slots__ = ("group", "checkpoint", "new_group", "members")
    class MembersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    NEW_GROUP_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    group: str
    checkpoint: str
    new_group: str
    members: _containers.ScalarMap[str, str]
    def __init__(self, group: _Optional[str] = ..., checkpoint: _Optional[str] = ..., new_group: _Optional[str] = ..., members: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CloneResponse(_message.Message):
    __slots__ = ("checkpoint",)
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: Checkpoint
    def __init__(self, checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("group", "checkpoint")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    group: str
    checkpoint: str
    def __init__(self, group: _Optional[str] = ..., checkpoint: _Optional[str] = ...) -> None: ...

class ExportResponse(_message.Message):
    __slots__ = ("data", "done_bytes", "total_bytes")
    DATA_FIELD_NUMBER: _ClassVar[int]
    DONE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    done_bytes: int
    total_bytes: int
    def __init__(self, data: _Optional[bytes] = ..., done_bytes: _Optional[int] = ..., total_bytes: _Optional[int] = ...) -> None: ...

class ImportRequest(_message.Message):
    __slots__ = ("new_group", "data")
    NEW_GROUP_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    new_group: str
    data: bytes
    def __init__(self, new_group: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class ImportResponse(_message.Message):
    __slots__ = ("checkpoint",)
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: Checkpoint
    def __init__(self, checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ...) -> None: ...

class ListMembersRequest(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: str
    def __init__(self, group: _Optional[str] = ...) -> None: ...

class ListMembersResponse(_message.Message):
    __slots__ = ("members",)
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[Member]
    def __init__(self, members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("group", "member", "region", "state", "on_loss", "pid", "size_bytes", "head_epoch", "engine", "node")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ON_LOSS_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    HEAD_EPOCH_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    group: str
    member: str
    region: str
    state: MemberState
    on_loss: OnLoss
    pid: int
    size_bytes: int
    head_epoch: int
    engine: Engine
    node: str
    def __init__(self, group: _Optional[str] = ..., member: _Optional[str] = ..., region: _Optional[str] = ..., state: _Optional[_Union[MemberState, str]] = ..., on_loss: _Optional[_Union[OnLoss, str]] = ..., pid: _Optional[int] = ..., size_bytes: _Optional[int] = ..., head_epoch: _Optional[int] = ..., engine: _Optional[_Union[Engine, str]] = ..., node: _Optional[str] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    def __init__(self, nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("name", "address", "down")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DOWN_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    down: bool
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., down: _Optional[bool] = ...) -> None: ...

class DeclareNodeDownRequest(_message.Message):
    __slots__ = ("name", "force")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    force: bool
    def __init__(self, name: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...

class DeclareNodeDownResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RemoveNodeRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveNodeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetUsageRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetUsageResponse(_message.Message):
    __slots__ = ("pool", "pool_size_bytes", "pool_free_bytes", "regions", "nodes")
    POOL_FIELD_NUMBER: _ClassVar[int]
    POOL_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    POOL_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    pool: str
    pool_size_bytes: int
    pool_free_bytes: int
    regions: _containers.RepeatedCompositeFieldContainer[RegionUsage]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeUsage]
    def __init__(self, pool: _Optional[str] = ..., pool_size_bytes: _Optional[int] = ..., pool_free_bytes: _Optional[int] = ..., regions: _Optional[_Iterable[_Union[RegionUsage, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[NodeUsage, _Mapping]]] = ...) -> None: ...

class NodeUsage(_message.Message):
    __slots__ = ("node", "unreachable", "pool", "pool_size_bytes", "pool_free_bytes")
    NODE_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    POOL_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    POOL_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    node: str
    unreachable: str
    pool: str
    pool_size_bytes: int
    pool_free_bytes: int
    def __init__(self, node: _Optional[str] = ..., unreachable: _Optional[str] = ..., pool: _Optional[str] = ..., pool_size_bytes: _Optional[int] = ..., pool_free_bytes: _Optional[int] = ...) -> None: ...

class RegionUsage(_message.Message):
    __slots__ = ("region", "group", "member", "used_bytes", "checkpoint_count", "base_bytes", "log_bytes", "delta_bytes", "private_bytes", "node")
    REGION_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_COUNT_FIELD_NUMBER: _ClassVar[int]
    BASE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    DELTA_BYTES_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    region: str
    group: str
    member: str
    used_bytes: int
    checkpoint_count: int
    base_bytes: int
    log_bytes: int
    delta_bytes: int
    private_bytes: int
    node: str
    def __init__(self, region: _Optional[str] = ..., group: _Optional[str] = ..., member: _Optional[str] = ..., used_bytes: _Optional[int] = ..., checkpoint_count: _Optional[int] = ..., base_bytes: _Optional[int] = ..., log_bytes: _Optional[int] = ..., delta_bytes: _Optional[int] = ..., private_bytes: _Optional[int] = ..., node: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: str
    def __init__(self, group: _Optional[str] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("at_ns", "kind", "group", "member", "epoch", "text", "node")
    AT_NS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    at_ns: int
    kind: str
    group: str
    member: str
    epoch: int
    text: str
    node: str
    def __init__(self, at_ns: _Optional[int] = ..., kind: _Optional[str] = ..., group: _Optional[str] = ..., member: _Optional[str] = ..., epoch: _Optional[int] = ..., text: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...
