from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnlistRequest(_message.Message):
    __slots__ = ("open", "packet", "hang_up", "done")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    PACKET_FIELD_NUMBER: _ClassVar[int]
    HANG_UP_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    open: EnlistOpen
    packet: MemberPacket
    hang_up: HangUp
    done: EnlistDone
    def __init__(self, open: _Optional[_Union[EnlistOpen, _Mapping]] = ..., packet: _Optional[_Union[MemberPacket, _Mapping]] = ..., hang_up: _Optional[_Union[HangUp, _Mapping]] = ..., done: _Optional[_Union[EnlistDone, _Mapping]] = ...) -> None: ...

class EnlistReply(_message.Message):
    __slots__ = ("seats", "packet", "lost")
    SEATS_FIELD_NUMBER: _ClassVar[int]
    PACKET_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    seats: EnlistedSeats
    packet: MemberPacket
    lost: MemberLost
    def __init__(self, seats: _Optional[_Union[EnlistedSeats, _Mapping]] = ..., packet: _Optional[_Union[MemberPacket, _Mapping]] = ..., lost: _Optional[_Union[MemberLost, _Mapping]] = ...) -> None: ...

class EnlistOpen(_message.Message):
    __slots__ = ("group", "coordinator", "protocol_version")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    COORDINATOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    group: str
    coordinator: str
    protocol_version: int
    def __init__(self, group: _Optional[str] = ..., coordinator: _Optional[str] = ..., protocol_version: _Optional[int] = ...) -> None: ...

class EnlistDone(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EnlistedSeats(_message.Message):
    __slots__ = ("seats",)
    SEATS_FIELD_NUMBER: _ClassVar[int]
    seats: _containers.RepeatedCompositeFieldContainer[EnlistedSeat]
    def __init__(self, seats: _Optional[_Iterable[_Union[EnlistedSeat, _Mapping]]] = ...) -> None: ...

class EnlistedSeat(_message.Message):
    __slots__ = ("member", "token", "engine")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    member: str
    token: int
    engine: int
    def __init__(self, member: _Optional[str] = ..., token: _Optional[int] = ..., engine: _Optional[int] = ...) -> None: ...

class MemberPacket(_message.Message):
    __slots__ = ("token", "data")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    token: int
    data: bytes
    def __init__(self, token: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class MemberLost(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: int
    def __init__(self, token: _Optional[int] = ...) -> None: ...

class HangUp(_message.Message):
    __slots__ = ("token", "reason")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    token: int
    reason: str
    def __init__(self, token: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
