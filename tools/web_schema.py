"""Writes ``lanying/web/sdk/schema.js``: the wire schema of ``xsync.proto`` as the JavaScript SDK reads it.

``python tools/web_schema.py`` rewrites the file; a test says when that was forgotten.
"""

from __future__ import annotations

import json
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from lanying.protocol.schema import xsync_pb2

TARGET = Path(__file__).parent.parent / "lanying/web/sdk/schema.js"
HEADER = """\
// Made by tools/web_schema.py from lanying/protocol/schema/xsync.proto: do not edit.
// Messages: { field: [number, kind, repeated] }; a kind is uint, sint, bool, string, bytes or the name of a message.
"""
KINDS = {
    FieldDescriptor.TYPE_UINT64: "uint",
    FieldDescriptor.TYPE_UINT32: "uint",
    FieldDescriptor.TYPE_ENUM: "uint",
    FieldDescriptor.TYPE_SINT32: "sint",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
}


def fields(message: Descriptor) -> dict[str, list[object]]:
    """Fields of a message by name."""
    return {
        field.name: [
            field.number,
            field.message_type.name if field.message_type is not None else KINDS[field.type],
            *([True] if field.is_repeated else []),
        ]
        for field in message.fields
    }


def source() -> str:
    """The file's text."""
    messages = xsync_pb2.DESCRIPTOR.message_types_by_name.values()
    lines = [HEADER, "export const MESSAGES = {"]
    lines += [f"  {message.name}: {json.dumps(fields(message))}," for message in messages]
    lines += ["};", "", "export const ENUMS = {"]
    for message in messages:
        for enum in message.enum_types:
            values = {value.name: value.number for value in enum.values}
            lines.append(f"  {message.name}{enum.name}: {json.dumps(values)},")
    lines.append("};")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(source())
