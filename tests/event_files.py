"""TensorBoard's event files as anyone may read them."""

import struct
from collections.abc import Iterator
from pathlib import Path


def events(folder: Path) -> Iterator[tuple[int, str, float]]:
    """Step, name and value of all runs. TFRecords: a length of 8 bytes, its checksum, an event, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    for file in sorted(folder.glob("*/*")):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            yield from ((event.step, value.tag, round(value.simple_value, 6)) for value in event.summary.value)
