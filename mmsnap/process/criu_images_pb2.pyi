from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TaskEntry(_message.Message):
    __slots__ = ("pid", "parent_pid", "process_group", "session", "threads")
    PID_FIELD_NUMBER: _ClassVar[int]
    PARENT_PID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_GROUP_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    pid: int
    parent_pid: int
    process_group: int
    session: int
    threads: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, pid: _Optional[int] = ..., parent_pid: _Optional[int] = ..., process_group: _Optional[int] = ..., session: _Optional[int] = ..., threads: _Optional[_Iterable[int]] = ...) -> None: ...

class RegularFile(_message.Message):
    __slots__ = ("id", "flags", "position", "name", "size_bytes", "external", "mode", "build_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    flags: int
    position: int
    name: str
    size_bytes: int
    external: bool
    mode: int
    build_id: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, id: _Optional[int] = ..., flags: _Optional[int] = ..., position: _Optional[int] = ..., name: _Optional[str] = ..., size_bytes: _Optional[int] = ..., external: _Optional[bool] = ..., mode: _Optional[int] = ..., build_id: _Optional[_Iterable[int]] = ...) -> None: ...

class InetSocket(_message.Message):
    __slots__ = ("id", "inode", "family", "type", "protocol", "state", "source_port", "destination_port", "flags", "backlog", "source_address", "destination_address", "shutdown")
    ID_FIELD_NUMBER: _ClassVar[int]
    INODE_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PORT_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_PORT_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_FIELD_NUMBER: _ClassVar[int]
    id: int
    inode: int
    family: int
    type: int
    protocol: int
    state: int
    source_port: int
    destination_port: int
    flags: int
    backlog: int
    source_address: _containers.RepeatedScalarFieldContainer[int]
    destination_address: _containers.RepeatedScalarFieldContainer[int]
    shutdown: int
    def __init__(self, id: _Optional[int] = ..., inode: _Optional[int] = ..., family: _Optional[int] = ..., type: _Optional[int] = ..., protocol: _Optional[int] = ..., state: _Optional[int] = ..., source_port: _Optional[int] = ..., destination_port: _Optional[int] = ..., flags: _Optional[int] = ..., backlog: _Optional[int] = ..., source_address: _Optional[_Iterable[int]] = ..., destination_address: _Optional[_Iterable[int]] = ..., shutdown: _Optional[int] = ...) -> None: ...

class Pipe(_message.Message):
    __slots__ = ("id", "pipe_id", "flags")
    ID_FIELD_NUMBER: _ClassVar[int]
    PIPE_ID_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    id: int
    pipe_id: int
    flags: int
    def __init__(self, id: _Optional[int] = ..., pipe_id: _Optional[int] = ..., flags: _Optional[int] = ...) -> None: ...

class FileEntry(_message.Message):
    __slots__ = ("type", "id", "regular", "inet", "pipe")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    REGULAR_FIELD_NUMBER: _ClassVar[int]
    INET_FIELD_NUMBER: _ClassVar[int]
    PIPE_FIELD_NUMBER: _ClassVar[int]
    type: int
    id: int
    regular: RegularFile
    inet: InetSocket
    pipe: Pipe
    def __init__(self, type: _Optional[int] = ..., id: _Optional[int] = ..., regular: _Optional[_Union[RegularFile, _Mapping]] = ..., inet: _Optional[_Union[InetSocket, _Mapping]] = ..., pipe: _Optional[_Union[Pipe, _Mapping]] = ...) -> None: ...

class StreamRequest(_message.Message):
    __slots__ = ("filename",)
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    filename: str
    def __init__(self, filename: _Optional[str] = ...) -> None: ...

class PagemapHead(_message.Message):
    __slots__ = ("pages_id",)
    PAGES_ID_FIELD_NUMBER: _ClassVar[int]
    pages_id: int
    def __init__(self, pages_id: _Optional[int] = ...) -> None: ...

class PagemapEntry(_message.Message):
    __slots__ = ("address", "page_count_32", "in_parent", "flags", "page_count")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PAGE_COUNT_32_FIELD_NUMBER: _ClassVar[int]
    IN_PARENT_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    PAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    address: int
    page_count_32: int
    in_parent: bool
    flags: int
    page_count: int
    def __init__(self, address: _Optional[int] = ..., page_count_32: _Optional[int] = ..., in_parent: _Optional[bool] = ..., flags: _Optional[int] = ..., page_count: _Optional[int] = ...) -> None: ...
