"""Which partition a device belongs to: as producers' clients say it of the same key."""

import zlib

import pytest
from aiokafka.partitioner import murmur2 as clients_murmur2
from hypothesis import given
from hypothesis import strategies as st

from worker.core.partitioner import PartitionerName, Partitioning, murmur2

# org.apache.kafka.common.utils.UtilsTest.testMurmur2, as signed numbers of 32 bits.
PUBLISHED = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "number"), PUBLISHED.items())
def test_murmur2_gives_the_numbers_that_kafka_publishes(key: bytes, number: int) -> None:
    assert murmur2(key) == number & 0xFFFFFFFF


@given(st.binary())
def test_murmur2_is_the_clients_own(key: bytes) -> None:
    assert murmur2(key) == clients_murmur2(key) & 0xFFFFFFFF


def test_crc32_is_that_of_librdkafka() -> None:
    by_crc32 = Partitioning(partitions=7, partitioner="crc32")
    assert by_crc32.partition_of("d1") == zlib.crc32(b"d1") % 7


@pytest.mark.parametrize("partitioner", ["murmur2", "crc32"])
def test_devices_are_spread_evenly(partitioner: PartitionerName) -> None:
    partition_of = Partitioning(partitions=8, partitioner=partitioner).cached()
    counts = [0] * 8
    for number in range(8_000):
        counts[partition_of(f"device-{number}")] += 1
    assert min(counts) > 850
    assert max(counts) < 1_150
