"""The messages of the SPIFFE Workload API, described here because no small package offers them without a client.

Source: the SPIFFE Workload API specification, appendix with the protocol buffers (fields by number). Only what the
stand-in answers is described; JWT-SVIDs are not part of it.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_FILE = "standin_workload.proto"

# message → (field, number, type); "*" repeats, a capital letter names a message, "map" maps strings to bytes.
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "X509SVIDRequest": (),
    "X509SVIDResponse": (("svids", 1, "*X509SVID"), ("crl", 2, "*bytes"), ("federated_bundles", 3, "map")),
    "X509SVID": (
        ("spiffe_id", 1, "string"),
        ("x509_svid", 2, "bytes"),
        ("x509_svid_key", 3, "bytes"),
        ("bundle", 4, "bytes"),
        ("hint", 5, "string"),
    ),
    "X509BundlesRequest": (),
    "X509BundlesResponse": (("crl", 1, "*bytes"), ("bundles", 2, "map")),
    "JWTRequest": (),
    "JWTResponse": (),
}
_SCALARS = {"string": _Field.TYPE_STRING, "bytes": _Field.TYPE_BYTES}


def _described() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            if kind == "map":
                _add_map(message, field, number)
                continue
            label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
            base = kind.lstrip("*")
            if base in _SCALARS:
                message.field.add(name=field, number=number, label=label, type=_SCALARS[base])
            else:
                message.field.add(name=field, number=number, label=label, type=_Field.TYPE_MESSAGE, type_name=f".{base}")
    return file


def _add_map(message: descriptor_pb2.DescriptorProto, field: str, number: int) -> None:
    entry_name = "".join(part.capitalize() for part in field.split("_")) + "Entry"
    entry = message.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
    entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_BYTES)
    message.field.add(
        name=field,
        number=number,
        label=_Field.LABEL_REPEATED,
        type=_Field.TYPE_MESSAGE,
        type_name=f".{message.name}.{entry_name}",
    )


_CLASSES: dict[str, Any] = message_factory.GetMessages([_described()], pool=descriptor_pool.DescriptorPool())

X509SVIDRequest = _CLASSES["X509SVIDRequest"]
X509SVIDResponse = _CLASSES["X509SVIDResponse"]
X509BundlesRequest = _CLASSES["X509BundlesRequest"]
X509BundlesResponse = _CLASSES["X509BundlesResponse"]
JWTRequest = _CLASSES["JWTRequest"]
JWTResponse = _CLASSES["JWTResponse"]
