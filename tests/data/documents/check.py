#!/usr/bin/env python3
"""Computes again whatever vectors.json says, by other libraries than those that made it, and fails on a difference.

    pip install -r requirements.txt && python3 check.py

eth-account hashes, signs and recovers, rfc8785 writes canonical JSON; the rest is Python's own. Of the vectors it takes
the document and the types; the message, the hashes, the file and the signature follow.
"""
import base64
import hashlib
import json
import pathlib
import re
import sys

import rfc8785
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_defunct, encode_typed_data
from eth_utils import keccak

MNEMONIC = "test test test test test test test test test test test junk"
MAX_EXACT = 2**53
ZERO = "0" * 64
DOMAIN = {"name": "Meikan", "version": "1"}


def hex_of(data):
    return "0x" + data.hex()


def canonical(value):
    return rfc8785.dumps(as_doubles(value)).decode()


def as_doubles(value):
    """The same with +-2^53 as fractions: rfc8785 refuses them as whole numbers, as its limit is 2^53 - 1 (RFC 7493)."""
    if isinstance(value, dict):
        return {name: as_doubles(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_doubles(entry) for entry in value]
    return float(value) if type(value) is int and abs(value) == MAX_EXACT else value


def number(value):
    assert type(value) in (int, str), value
    whole = int(value)
    return whole if abs(whole) <= MAX_EXACT else str(whole)


def written(kind_of, value, types):
    """A value with every member of its type written out."""
    if kind_of in types:
        value = {} if value is None else value
        unknown = value.keys() - {member["name"] for member in types[kind_of]}
        assert not unknown, unknown
        return {member["name"]: written(member["type"], value.get(member["name"]), types) for member in types[kind_of]}
    if kind_of.endswith("[]"):
        return value or []
    if re.match("u?int", kind_of):
        return number(value)
    if kind_of == "bytes32":
        return (value or "0x" + ZERO).lower()
    if kind_of == "address":
        return (value or "0x" + ZERO[:40]).lower()
    return value or ""


def without_empty(members):
    return {name: value for name, value in members.items() if value not in ("", [], {})}


def file_of(content):
    parts = {name: without_empty(value) if isinstance(value, dict) else value for name, value in content.items()}
    text = canonical(without_empty(parts))
    multihash = bytes([0x12, 0x20]) + hashlib.sha256(text.encode()).digest()
    name = "b" + base64.b32encode(bytes([0x01, 0x55]) + multihash).decode().lower().rstrip("=")
    return {"file": text, "fileHash": hex_of(keccak(text.encode())), "cid": name}


def of_typed(vector):
    shown = vector["shown"]
    document = json.loads(vector["document"])
    found = {}
    if vector["kind"] == "AGENT_CARD":
        found["cardFile"] = canonical(document.pop("card"))
        found["cardHash"] = document["cardHash"] = hex_of(keccak(found["cardFile"].encode()))
    message = written(shown["primaryType"], document, shown["types"])
    if "feedback" in message:
        found |= file_of(message["feedback"])
    found["shown"] = shown | {"domain": DOMAIN | {"chainId": vector["chainId"]}, "message": message}
    signable = encode_typed_data(full_message=found["shown"])
    found["digest"] = hex_of(_hash_eip191_message(signable))
    return signable, found


def of_text(vector):
    text = vector["document"]
    signable = encode_defunct(text=text)
    digest = hex_of(hashlib.sha256(text.encode()).digest())
    return signable, {"document": canonical(json.loads(text)), "shown": text, "digest": digest}


def differences(vector, keys):
    _, chain_id, address = vector["signer"].split(":")
    signable, found = of_text(vector) if isinstance(vector["shown"], str) else of_typed(vector)
    found["chainId"] = int(chain_id)
    found["hash"] = hex_of(_hash_eip191_message(signable))
    # Both libraries choose the nonces of signatures as RFC 6979 says, so even the bytes are the same.
    found["signature"] = hex_of(Account.sign_message(signable, keys[address.lower()]).signature)
    for name, value in found.items():
        if vector.get(name) != value:
            yield f"{vector['name']}: {name} is {vector.get(name)!r}, computed {value!r}"
    signer = Account.recover_message(signable, signature=vector["signature"])
    if signer.lower() != address.lower():
        yield f"{vector['name']}: the signature is that of {signer}"
    missing = vector.keys() - found.keys() - {"name", "kind", "signer", "document"}
    if missing:
        yield f"{vector['name']}: nothing computes {sorted(missing)}"


def main():
    Account.enable_unaudited_hdwallet_features()
    accounts = [Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{place}") for place in range(5)]
    keys = {account.address.lower(): account.key for account in accounts}
    vectors = json.loads((pathlib.Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
    found = [difference for vector in vectors for difference in differences(vector, keys)]
    print("\n".join(found) or f"{len(vectors)} vectors, no difference")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
