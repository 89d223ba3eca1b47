"""Checkpoint files: against TensorFlow's own reader, and their parts against published vectors."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from castiron.errors import ModelError
from castiron.frontends.tensorflow.checkpoint.bundle import Checkpoint
from castiron.frontends.tensorflow.checkpoint.crc32c import crc32c, unmask
from castiron.frontends.tensorflow.checkpoint.snappy import decompress
from castiron.frontends.tensorflow.checkpoint.table import entries


@pytest.mark.parametrize("data, checksum", [
    (b"", 0), (b"123456789", 0xE3069283), (b"a", 0xC1D04330), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E), (bytes(range(31, -1, -1)), 0x113FDB5C)])
def test_crc32c_of_rfc_3720(data, checksum):
    assert crc32c(data) == checksum


def test_crc32c_is_the_bitwise_one_at_every_length():
    data = np.random.default_rng(0).bytes(3000)
    for size in (*range(70), 255, 256, 257, 1023, 3000):
        register = 0xFFFFFFFF
        for byte in data[:size]:
            register ^= byte
            for _ in range(8):
                register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
        assert crc32c(data[:size]) == register ^ 0xFFFFFFFF
    assert unmask(((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF) == 0xE3069283


@pytest.mark.parametrize("block, data", [
    (b"\x00", b""), (b"\x05\x10hello", b"hello"),
    (b"\x0a\x04ab\x1e\x02\x00", b"ababababab"),  # a copy with a two-byte offset that overlaps what it writes
    (b"\x08\x08abc\x05\x03", b"abcabcab"),  # one with a one-byte offset
    (b"\x46\xf0\x45" + b"x" * 70, b"x" * 70),  # a literal whose length takes a byte of its own
    (b"\x06\x04ab\x0f\x02\x00\x00\x00", b"ababab"),
])
def test_snappy(block, data):
    assert decompress(block) == data


@pytest.mark.parametrize("block", [b"", b"\x80", b"\x05\x10hel", b"\x09\x10hello", b"\x02\x10hello",
                                   b"\x08\x00a\x01\x05", b"\xff\xff\xff\xff\x0f\x00a", b"\x08\x00a\x01\x00"])
def test_damaged_snappy(block):
    with pytest.raises(ModelError):
        decompress(block)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is the oracle of these tests")
    rng = np.random.default_rng(2)
    variables = {f"layer_{i}": tf.Variable(rng.standard_normal((i % 7, 3)).astype(np.float32)) for i in range(300)}
    for dtype in (tf.float64, tf.int8, tf.uint16, tf.int64, tf.bool, tf.float16, tf.bfloat16):
        variables[f"of_{dtype.name}"] = tf.Variable(tf.cast([[1, 0, 3]], dtype))
    prefix = tmp_path_factory.mktemp("checkpoint") / "model"
    return tf.train.Checkpoint(**variables).write(str(prefix)), tf.train.load_checkpoint(str(prefix))


def test_every_tensor_is_tensorflows(saved):
    from pathlib import Path

    prefix, reader = saved
    checkpoint = Checkpoint(Path(prefix))
    keys = [key for key in reader.get_variable_to_shape_map() if not key.startswith("_")]
    assert len(keys) > 300
    for key in keys:
        expected = reader.get_tensor(key)
        if expected.dtype.itemsize == 2 and expected.dtype.kind in "fV":  # 16-bit floats are widened
            expected = expected.astype(np.float32)
        actual = checkpoint.tensor(key)
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
    with pytest.raises(ModelError, match="has no variable 'ghost'"):
        checkpoint.tensor("ghost")


def test_several_shards(tmp_path):
    tf = pytest.importorskip("tensorflow")
    prefix = str(tmp_path / "model")
    parts = [str(tmp_path / f"part{i}") for i in range(2)]
    for i, part in enumerate(parts):
        tf.raw_ops.SaveV2(prefix=part, tensor_names=[f"v{i}"], shape_and_slices=[""], tensors=[[i + 0.5]])
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=prefix)
    checkpoint = Checkpoint(tmp_path / "model")
    assert [checkpoint.tensor(f"v{i}").tolist() for i in range(2)] == [[0.5], [1.5]]


def test_slices_are_refused(tmp_path):
    tf = pytest.importorskip("tensorflow")
    tf.raw_ops.SaveV2(prefix=str(tmp_path / "model"), tensor_names=["v"], shape_and_slices=["4 2 0,2:-"],
                      tensors=[np.ones((2, 2), np.float32)])
    with pytest.raises(ModelError, match="variable 'v' is saved in slices"):
        Checkpoint(tmp_path / "model").tensor("v")


def test_a_table_with_a_compressed_block():
    def block(content, compressed):
        kind = b"\x01" if compressed else b"\x00"
        checksum = crc32c(content + kind)
        return content + kind + ((checksum >> 15 | checksum << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")

    pairs = b"\x00\x02\x01k1x" + b"\x01\x01\x02" + b"2yz" + b"\0\0\0\0" + b"\1\0\0\0"
    data = block(bytes([len(pairs), (len(pairs) - 1) << 2]) + pairs, True)
    handle = b"\x00" + bytes([len(data) - 5])
    index = block(b"\x00\x01" + bytes([len(handle)]) + b"k" + handle + b"\0\0\0\0" + b"\1\0\0\0", False)
    footer = b"\x00\x00" + bytes([len(data), len(index) - 5])
    table = data + index + footer.ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")
    assert list(entries(table)) == [(b"k1", b"x"), (b"k2", b"yz")]
    with pytest.raises(ModelError, match="checksum"):
        list(entries(b"\x01" + table[1:]))
