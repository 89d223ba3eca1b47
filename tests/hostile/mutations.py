"""Damage that a model file may have: to its bytes, and, so that it gets past checksums, to what they say."""

import io
import json
import random
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from castiron.frontends.onnx.proto import onnx_pb2
from castiron.frontends.tensorflow.proto import graph_pb2, saved_model_pb2

HUGE = (0, 1, -1, 2, 3, 127, 1 << 15, 1 << 24, (1 << 31) - 1, -(1 << 31), 1 << 32, (1 << 63) - 1, -(1 << 63))
ODD = (None, True, "", "../../etc/passwd", "/", "x" * 10000, "\0", "é\u202e", [], {}, 0.5, -1, 1e308, 1 << 70,
       {"class_name": "Lambda", "config": {}}, [[[[[[]]]]]])

#: By the name of a file, the message that it holds.
_MESSAGES = {"saved_model.pb": saved_model_pb2.SavedModel, "model.pb": graph_pb2.GraphDef,
             "model.onnx": onnx_pb2.ModelProto}


def damaged(seed: Path, folder: Path, number: int) -> Path:
    """Variant ``number`` of a model file or folder, left in ``folder``."""
    rng = random.Random(number)
    if seed.is_dir():
        copy = folder / f"{number}"
        shutil.copytree(seed, copy)
        files = sorted(f for f in copy.rglob("*") if f.is_file())
        model = next(copy / name for name in _MESSAGES if (copy / name).exists())
        if rng.random() < 0.1:
            rng.choice(files).unlink()
        else:
            file = model if rng.random() < 0.7 else rng.choice(files)
            _damage(file, _MESSAGES.get(file.name), rng)
        return model if model.suffix == ".onnx" else copy
    copy = folder / f"{number}{seed.suffix}"
    shutil.copy(seed, copy)
    _damage(copy, _MESSAGES.get(f"model{seed.suffix}"), rng)
    return copy


def _damage(file: Path, message: type[Message] | None, rng: random.Random) -> None:
    if rng.random() < 0.3:
        file.write_bytes(bytes(_bytes(bytearray(file.read_bytes()), rng)))
    elif message:
        parsed = message.FromString(file.read_bytes())
        for _ in range(rng.choice((1, 1, 1, 3, 20))):
            _field(parsed, rng, [m.name for m in _messages(parsed) if hasattr(m, "name") and isinstance(m.name, str)])
        file.write_bytes(parsed.SerializeToString())
    elif file.suffix == ".keras":
        _zip(file, rng)
    elif file.suffix == ".h5":
        _hdf5(file, rng)


def _bytes(data: bytearray, rng: random.Random) -> bytearray:
    kind = rng.randrange(5)
    at, size = rng.randrange(len(data)), rng.randrange(1, 64)
    if kind == 0:
        return data[:at]
    if kind == 1:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 2:
        data[at:at + size] = rng.randbytes(size)
    elif kind == 3:
        del data[at:at + size]
    else:
        data[at:at] = data[max(0, at - size):at]
    return data


def _messages(message: Message) -> Iterator[Message]:
    """The message and all in it."""
    stack = [message]
    while stack:
        item = stack.pop()
        yield item
        for field, value in item.ListFields():
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                if field.message_type.GetOptions().map_entry:
                    if field.message_type.fields_by_name["value"].message_type:
                        stack.extend(value.values())
                else:
                    stack.extend(value if field.is_repeated else [value])


def _field(message: Message, rng: random.Random, names: list[str]) -> None:
    """Change one field somewhere: a number to an extreme one, a text to another name, a list's length."""
    candidates = [(m, f) for m in _messages(message) for f, _ in m.ListFields()]
    if not candidates:
        return
    owner, field = rng.choice(candidates)
    if field.is_repeated and not (field.message_type and field.message_type.GetOptions().map_entry):
        values = getattr(owner, field.name)
        at = rng.randrange(len(values))
        if rng.random() < 0.5:
            del values[at]
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            values.add().CopyFrom(values[rng.randrange(len(values))])
        else:
            values[at] = _scalar(field, rng, names, values[at])
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        owner.ClearField(field.name)
    else:
        setattr(owner, field.name, _scalar(field, rng, names, getattr(owner, field.name)))


def _scalar(field: FieldDescriptor, rng: random.Random, names: list[str], old: Any) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        text = rng.choice([*rng.sample(names, min(3, len(names))), "", "../x", "x" * 5000])
        return text.encode() if isinstance(old, bytes) else text
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e38))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return not old
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return rng.randrange(30)
    wide = field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
    low = 0 if field.cpp_type in (FieldDescriptor.CPPTYPE_UINT64, FieldDescriptor.CPPTYPE_UINT32) else -(1 << 31)
    limit = 1 << (63 if wide else 31)
    return rng.choice([n for n in HUGE if max(low, -limit) <= n < limit])


def _zip(file: Path, rng: random.Random) -> None:
    """Change a member, or add members under strange names."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    kind = rng.randrange(8)
    if kind == 0:
        members.pop(rng.choice(list(members)))
    elif kind == 1:
        members[rng.choice(("../../evil", "/abs", "config.json/x", "a" * 60000))] = b"x"
    elif kind == 2:
        members["model.weights.h5"] = bytes(_bytes(bytearray(members["model.weights.h5"]), rng))
    elif kind == 3:
        members[rng.choice(list(members))] = bytes(1 << 24)  # packs to next to nothing
    else:
        members["config.json"] = _json(members["config.json"], rng)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _hdf5(file: Path, rng: random.Random) -> None:
    data = io.BytesIO(file.read_bytes())
    with h5py.File(data, "r+") as opened:
        config = opened.attrs["model_config"]
        changed = _json(config if isinstance(config, bytes) else config.encode(), rng)
        del opened.attrs["model_config"]
        if len(changed) < 60000:
            opened.attrs["model_config"] = changed.decode("utf-8", "replace")
    file.write_bytes(data.getvalue())


def _json(text: bytes, rng: random.Random) -> bytes:
    """The configuration with values replaced, exchanged, removed, or nested deeply."""
    if rng.random() < 0.1:
        return rng.choice((b"[" * 100000, b'{"a":' * 50000, text[:-1], text.replace(b"3", b"1e999", 1)))
    config = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 10))):
        places = list(_places(config))
        owner, key = rng.choice(places)
        kind = rng.randrange(4)
        if kind == 0 and isinstance(owner[key], int):
            owner[key] = rng.choice(HUGE)
        elif kind == 1:
            other, at = rng.choice(places)
            owner[key] = json.loads(json.dumps(other[at]))
        elif kind == 2:
            del owner[key]
        else:
            owner[key] = rng.choice(ODD)
    return json.dumps(config).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each (container, key) in nested lists and objects."""
    stack = [value]
    while stack:
        item = stack.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        for key in keys:
            yield item, key
            stack.append(item[key])
