"""Databases for tests: the MaxMind DB format 2.0, written plainly, without sharing anything.

    mmdb.write({"1.0.0.0/8": {"country": "JP"}, "2a00::/12": {"asn": "AS64496"}}) -> bytes
"""

import ipaddress
import struct

MARKER = b"\xab\xcd\xefMaxMind.com"


def _control(kind, size):
    """The control bytes of a field: type, then size with its extra bytes."""
    if size < 29:
        low, extra = size, b""
    elif size < 285:
        low, extra = 29, bytes([size - 29])
    elif size < 65821:
        low, extra = 30, (size - 285).to_bytes(2, "big")
    else:
        low, extra = 31, (size - 65821).to_bytes(3, "big")
    return (bytes([kind << 5 | low]) if kind < 8 else bytes([low, kind - 7])) + extra


class Float(float):
    """Of 4 bytes."""


class Uint16(int):
    pass


class Uint64(int):
    pass


def encode(value):
    if isinstance(value, bool):
        return _control(14, int(value))
    if isinstance(value, str):
        text = value.encode()
        return _control(2, len(text)) + text
    if isinstance(value, Float):
        return _control(15, 4) + struct.pack(">f", value)
    if isinstance(value, float):
        return _control(3, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        kind, most = (5, 2) if isinstance(value, Uint16) else (9, 8) if isinstance(value, Uint64) else (6, 4)
        number = value.to_bytes(most, "big").lstrip(b"\0")
        return _control(kind, len(number)) + number
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(encode(k) + encode(v) for k, v in value.items())
    return _control(11, len(value)) + b"".join(encode(v) for v in value)


def _insert(nodes, bits, prefix_len, leaf):
    at = 0
    for depth in range(prefix_len - 1):
        side = bits[depth]
        if not isinstance(nodes[at][side], int):
            nodes.append([nodes[at][side], nodes[at][side]])
            nodes[at][side] = len(nodes) - 1
        at = nodes[at][side]
    nodes[at][bits[prefix_len - 1]] = leaf


def write(networks, version=6, leave_out=(), **metadata):
    """The bytes of a database; `metadata` replaces values, `leave_out` names keys that are not written."""
    nodes, data, offsets = [[None, None]], b"", {}
    for text, record in networks.items():
        network = ipaddress.ip_network(text)
        width = 128 if version == 6 else 32
        number, prefix_len = int(network.network_address), network.prefixlen
        if network.version == 4 and version == 6:
            prefix_len += 96
        field = encode(record)
        if field not in offsets:
            offsets[field] = len(data)
            data += field
        _insert(nodes, [int(c) for c in f"{number:0{width}b}"], prefix_len, (offsets[field],))
    count = len(nodes)

    def value(record):
        return count if record is None else record if isinstance(record, int) else count + 16 + record[0]

    tree = b"".join(value(side).to_bytes(4, "big") for node in nodes for side in node)
    keys = {"node_count": count, "record_size": Uint16(32), "ip_version": Uint16(version), "database_type": "test",
            "languages": ["en"], "binary_format_major_version": Uint16(2), "binary_format_minor_version": Uint16(0),
            "build_epoch": Uint64(1_700_000_000), "description": {"en": "of the tests"}}
    keys.update(metadata)
    return tree + bytes(16) + data + MARKER + encode({k: v for k, v in keys.items() if k not in leave_out})
