from mmsnap.rpc.v1 import mmsnap_pb2 as _mmsnap_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ForgetRequest(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: str
    def __init__(self, group: _Optional[str] = ...) -> None: ...

class ForgetReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EnlistRequest(_message.Message):
    __slots__ = ("open",)
    OPEN_FIELD_NUMBER: _ClassVar[int]
    open: EnlistOpen
    def __init__(self, open: _Optional[_Union[EnlistOpen, _Mapping]] = ...) -> None: ...

class EnlistReply(_message.Message):
    __slots__ = ("seats",)
    SEATS_FIELD_NUMBER: _ClassVar[int]
    seats: EnlistedSeats
    def __init__(self, seats: _Optional[_Union[EnlistedSeats, _Mapping]] = ...) -> None: ...

class EnlistOpen(_message.Message):
    __slots__ = ("group", "coordinator", "protocol_version")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    COORDINATOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    group: str
    coordinator: str
    protocol_version: int
    def __init__(self, group: _Optional[str] = ..., coordinator: _Optional[str] = ..., protocol_version: _Optional[int] = ...) -> None: ...

class EnlistedSeats(_message.Message):
    __slots__ = ("seats", "link")
    SEATS_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    seats: _containers.RepeatedCompositeFieldContainer[EnlistedSeat]
    link: LinkOffer
    def __init__(self, seats: _Optional[_Iterable[_Union[EnlistedSeat, _Mapping]]] = ..., link: _Optional[_Union[LinkOffer, _Mapping]] = ...) -> None: ...

class LinkOffer(_message.Message):
    __slots__ = ("port", "token")
    PORT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    port: int
    token: bytes
    def __init__(self, port: _Optional[int] = ..., token: _Optional[bytes] = ...) -> None: ...

class EnlistedSeat(_message.Message):
    __slots__ = ("member", "token", "engine", "incarnation")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    member: str
    token: int
    engine: int
    incarnation: int
    def __init__(self, member: _Optional[str] = ..., token: _Optional[int] = ..., engine: _Optional[int] = ..., incarnation: _Optional[int] = ...) -> None: ...

class PartName(_message.Message):
    __slots__ = ("group", "member", "engine", "epoch")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    group: str
    member: str
    engine: int
    epoch: int
    def __init__(self, group: _Optional[str] = ..., member: _Optional[str] = ..., engine: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("part", "have")
    PART_FIELD_NUMBER: _ClassVar[int]
    HAVE_FIELD_NUMBER: _ClassVar[int]
    part: PartName
    have: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, part: _Optional[_Union[PartName, _Mapping]] = ..., have: _Optional[_Iterable[int]] = ...) -> None: ...

class Piece(_message.Message):
    __slots__ = ("region", "pages", "program", "files", "end")
    REGION_FIELD_NUMBER: _ClassVar[int]
    PAGES_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    region: RegionHead
    pages: Pages
    program: ProgramHead
    files: bytes
    end: PieceEnd
    def __init__(self, region: _Optional[_Union[RegionHead, _Mapping]] = ..., pages: _Optional[_Union[Pages, _Mapping]] = ..., program: _Optional[_Union[ProgramHead, _Mapping]] = ..., files: _Optional[bytes] = ..., end: _Optional[_Union[PieceEnd, _Mapping]] = ...) -> None: ...

class RegionHead(_message.Message):
    __slots__ = ("epoch", "base_epoch", "size_max_bytes", "extent_bytes", "name", "parent_epoch", "created_ns", "pause_ns", "automatic", "pinned", "crash_only", "meta", "partial")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BASE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    SIZE_MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    EXTENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARENT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    CREATED_NS_FIELD_NUMBER: _ClassVar[int]
    PAUSE_NS_FIELD_NUMBER: _ClassVar[int]
    AUTOMATIC_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    CRASH_ONLY_FIELD_NUMBER: _ClassVar[int]
    META_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    base_epoch: int
    size_max_bytes: int
    extent_bytes: int
    name: str
    parent_epoch: int
    created_ns: int
    pause_ns: int
    automatic: bool
    pinned: bool
    crash_only: bool
    meta: str
    partial: bool
    def __init__(self, epoch: _Optional[int] = ..., base_epoch: _Optional[int] = ..., size_max_bytes: _Optional[int] = ..., extent_bytes: _Optional[int] = ..., name: _Optional[str] = ..., parent_epoch: _Optional[int] = ..., created_ns: _Optional[int] = ..., pause_ns: _Optional[int] = ..., automatic: _Optional[bool] = ..., pinned: _Optional[bool] = ..., crash_only: _Optional[bool] = ..., meta: _Optional[str] = ..., partial: _Optional[bool] = ...) -> None: ...

class Pages(_message.Message):
    __slots__ = ("numbers", "data", "crc")
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CRC_FIELD_NUMBER: _ClassVar[int]
    numbers: bytes
    data: bytes
    crc: int
    def __init__(self, numbers: _Optional[bytes] = ..., data: _Optional[bytes] = ..., crc: _Optional[int] = ...) -> None: ...

class ProgramHead(_message.Message):
    __slots__ = ("epoch",)
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    def __init__(self, epoch: _Optional[int] = ...) -> None: ...

class PieceEnd(_message.Message):
    __slots__ = ("count", "crc")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CRC_FIELD_NUMBER: _ClassVar[int]
    count: int
    crc: int
    def __init__(self, count: _Optional[int] = ..., crc: _Optional[int] = ...) -> None: ...

class KeepRequest(_message.Message):
    __slots__ = ("part", "source")
    PART_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    part: PartName
    source: str
    def __init__(self, part: _Optional[_Union[PartName, _Mapping]] = ..., source: _Optional[str] = ...) -> None: ...

class KeepReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("part",)
    PART_FIELD_NUMBER: _ClassVar[int]
    part: PartName
    def __init__(self, part: _Optional[_Union[PartName, _Mapping]] = ...) -> None: ...

class VerifyReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("group", "member")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    group: str
    member: str
    def __init__(self, group: _Optional[str] = ..., member: _Optional[str] = ...) -> None: ...

class ReleaseReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LocateRequest(_message.Message):
    __slots__ = ("group", "epoch", "members")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    group: str
    epoch: int
    members: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, group: _Optional[str] = ..., epoch: _Optional[int] = ..., members: _Optional[_Iterable[str]] = ...) -> None: ...

class Located(_message.Message):
    __slots__ = ("whereabouts",)
    WHEREABOUTS_FIELD_NUMBER: _ClassVar[int]
    whereabouts: bytes
    def __init__(self, whereabouts: _Optional[bytes] = ...) -> None: ...

class AcquaintRequest(_message.Message):
    __slots__ = ("group", "located")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LOCATED_FIELD_NUMBER: _ClassVar[int]
    group: str
    located: Located
    def __init__(self, group: _Optional[str] = ..., located: _Optional[_Union[Located, _Mapping]] = ...) -> None: ...

class AcquaintReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
