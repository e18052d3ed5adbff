#!/usr/bin/env python3
"""Computes vectors.json, the test vectors of the state digest, from docs/digest.md alone.

    pip install blake3 && python3 vectors.py > vectors.json
"""
import json
from blake3 import blake3

CHAIN_ID = 167000
TOPIC = {
    "Registered": "ca52e62c367d81bb2e328eb795f7c7ba24afb478408a26c0e201d155c449bc4a",
    "MetadataUpdate": "f8e1a15aba9398e019f0b49df1a4fde98ee17ae345cb5f6b5e2c27f5033e8ce7",
    "FeedbackRevoked": "25156fd3288212246d8b008d5921fde376c71ed14ac2e072a506eb06fde6d09d",
}


def word(number):
    return number.to_bytes(32, "big")


def abi_string(text):
    padded = text + bytes(-len(text) % 32)
    return word(len(text)) + padded


def element(log, topics, data):
    out = CHAIN_ID.to_bytes(8, "big") + log["number"].to_bytes(8, "big") + log["hash"]
    out += log["log_index"].to_bytes(4, "big") + log["transaction"] + log["address"]
    out += len(topics).to_bytes(1, "big") + b"".join(topics)
    return out + len(data).to_bytes(4, "big") + data


def expand(domain, encoded):
    stream = blake3(encoded, derive_key_context=f"meikan state digest v1: element of {domain}").digest(length=2048)
    return [int.from_bytes(stream[i:i + 2], "little") for i in range(0, 2048, 2)]


def state_bytes(lanes):
    return b"".join(lane.to_bytes(2, "little") for lane in lanes)


def summary(domain, lanes):
    return blake3(state_bytes(lanes), derive_key_context=f"meikan state digest v1: summary of {domain}").hexdigest()


def add(lanes, more):
    return [(one + other) % 65536 for one, other in zip(lanes, more)]


def at(number, log_index, transaction_index, address):
    return {"number": number, "hash": bytes([number % 256]) * 32, "log_index": log_index,
            "transaction": bytes([0xa0 + transaction_index]) * 32, "transaction_index": transaction_index,
            "address": bytes([address]) * 20}


OWNER = word(0x1111)
# Each: where, role, topics and data of the log, topics and data of the event (None: the log decodes to nothing).
CASES = []
registered = [bytes.fromhex(TOPIC["Registered"]), word(2**256 - 1), OWNER]
uri = word(32) + abi_string(b"ipfs://bafy\x00\xff")
CASES.append((at(4305747, 0, 0, 1), "identity", registered, uri, (registered, uri)))
# The same event, encoded by a contract that leaves a gap in front of the string.
gap = word(64) + word(0) + abi_string(b"x")
CASES.append((at(4305747, 3, 1, 1), "identity", registered, gap, (registered, word(32) + abi_string(b"x"))))
update = [bytes.fromhex(TOPIC["MetadataUpdate"])]
CASES.append((at(4305748, 0, 0, 1), "identity", update, word(7), (update, word(7))))
revoked = [bytes.fromhex(TOPIC["FeedbackRevoked"]), word(5), OWNER, word(2**64 - 1)]
CASES.append((at(4305748, 1, 0, 2), "reputation", revoked, b"", (revoked, b"")))
CASES.append((at(4305750, 9, 2, 2), "reputation", [], b"anonymous", None))
CASES.append((at(4305750, 10, 2, 1), "identity", [bytes([0xee]) * 32], b"", None))

events, raw_logs = [0] * 1024, [0] * 1024
steps = []
for log, role, topics, data, event in CASES:
    raw = element(log, topics, data) + log["transaction_index"].to_bytes(4, "big")
    raw_logs = add(raw_logs, expand("raw logs", raw))
    decoded = element(log, *event) if event else None
    if event:
        events = add(events, expand("events", decoded))
    steps.append({
        "role": role,
        "log": {"blockNumber": log["number"], "blockHash": log["hash"].hex(), "logIndex": log["log_index"],
                "transactionHash": log["transaction"].hex(), "transactionIndex": log["transaction_index"],
                "address": log["address"].hex(), "topics": [topic.hex() for topic in topics], "data": data.hex()},
        "rawElement": raw.hex(), "eventElement": decoded.hex() if decoded else None,
        "events": summary("events", events), "rawLogs": summary("raw logs", raw_logs),
    })
print(json.dumps({"chainId": CHAIN_ID, "steps": steps, "eventsState": state_bytes(events).hex()}, indent=1))
