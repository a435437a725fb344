"""The yardstick: the script one would write first. confluent-kafka, msgspec and a dict, and no guarantee.

Half the worker's job at no price: sessions by gap or client id and the user of the device, in memory, lost
with the process; a crash loses or repeats events. It is measured beside the worker, on the same machine in
the same minutes, so that figures of different machines can be given as ratios to it. It reads the worker's
own environment variables, so that ``bench.run`` starts either in the same way.
"""

import os
import signal
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer

GAP_MS = 1_800_000


class Device:
    """What is remembered of a device: its user and its session."""

    __slots__ = ("end", "number", "session", "start", "user")

    def __init__(self) -> None:
        self.user: str | None = None
        self.session: str | None = None
        self.start = self.end = self.number = 0


def enrich(device: Device, event: dict[str, Any]) -> None:
    """Put session and user into the event, and remember them."""
    t = event["timestamp"]
    device.user = event.get("user_id") or device.user
    named = event.get("session_id")
    if named != device.session if named else device.session is None or t - device.end > GAP_MS:
        device.session = named or f"{event['device_id']}-{t}"
        device.start = device.end = t
        device.number = 0
    device.end = max(device.end, t)
    device.number += 1
    event["user_id"] = device.user
    event["session_id"] = device.session
    event["session_start"] = device.start
    event["event_number"] = device.number


def main() -> None:
    settings = {name.removeprefix("SESSIONIZER_"): value for name, value in os.environ.items()}
    servers = settings["KAFKA_BOOTSTRAP_SERVERS"]
    raw, enriched = settings["TOPICS_RAW"], settings["TOPICS_ENRICHED"]
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": settings["KAFKA_GROUP_ID"],
            "auto.offset.reset": "earliest",
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "partitioner": "murmur2",
            "compression.type": settings.get("KAFKA_COMPRESSION", "zstd"),
            "linger.ms": 50,
            "queue.buffering.max.messages": 500_000,
        }
    )
    consumer.subscribe([raw])
    decode, encode, produce = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode, producer.produce
    devices: dict[bytes, Device] = {}
    while not stopped:
        for message in consumer.consume(1000, 0.2):
            if message.error():
                continue
            key = message.key()
            device = devices.get(key)
            if device is None:
                device = devices[key] = Device()
            for event in decode(message.value()):
                enrich(device, event)
                value = encode(event)
                while True:
                    try:
                        produce(enriched, value, key)
                        break
                    except BufferError:
                        producer.poll(0.05)
        producer.poll(0)
    producer.flush()
    consumer.close()


if __name__ == "__main__":
    main()
