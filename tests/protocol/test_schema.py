"""The schema: equal to the tables of the specification, and the generated module equal to its source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from lanying.protocol.schema import xsync_pb2 as pb

HERE = Path(__file__).parent
SCHEMA = Path(pb.__file__).parent
TABLES = json.loads((HERE / "wire_vectors.json").read_text())
PACKAGE = "im.floo.protobuf."

SCALARS = {
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_SINT32: "sint32",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
}


def type_name(field: FieldDescriptor) -> str:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return "message " + field.message_type.full_name.removeprefix(PACKAGE)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return "enum " + field.enum_type.full_name.removeprefix(PACKAGE)
    return SCALARS[field.type]


def row(field: FieldDescriptor) -> list[object]:
    repeated = ["repeated"] if field.is_repeated else []
    return [field.name, field.number, type_name(field), *repeated]


MESSAGES: dict[str, Descriptor] = dict(pb.DESCRIPTOR.message_types_by_name)
ENUMS: dict[str, EnumDescriptor] = {
    enum.full_name.removeprefix(PACKAGE): enum for message in MESSAGES.values() for enum in message.enum_types
}


def test_messages_equal_the_tables() -> None:
    assert {name: [row(f) for f in message.fields] for name, message in MESSAGES.items()} == TABLES["messages"]


def test_enums_equal_the_tables() -> None:
    assert {name: {v.name: v.number for v in enum.values} for name, enum in ENUMS.items()} == TABLES["enums"]


def test_generated_module_is_up_to_date(tmp_path: Path) -> None:
    """Regenerating gives the checked-in descriptor (``python -m grpc_tools.protoc --python_out``)."""
    protoc = pytest.importorskip("grpc_tools.protoc")
    arguments = ["protoc", f"-I{SCHEMA}", f"--python_out={tmp_path}", str(SCHEMA / "xsync.proto")]
    assert protoc.main(arguments) == 0

    def gist(path: Path) -> list[str]:
        # What depends on the version of protoc is left out: the version check and everything around the descriptor.
        return [line for line in path.read_text().splitlines() if line.startswith(("DESCRIPTOR =", "_builder."))]

    checked_in = gist(SCHEMA / "xsync_pb2.py")
    assert checked_in and gist(tmp_path / "xsync_pb2.py") == checked_in
