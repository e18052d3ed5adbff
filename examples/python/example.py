"""Hands in a document of each kind to a running demo, reads back what came of each, and ends with an error at the first
thing that is not as it should be."""

import argparse
import json
import secrets
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone

from eth_account import Account
from eth_account.signers.local import LocalAccount

from meikan import Meikan, Refused, canonical, keccak_of, post

# The demo's chain. Everybody knows its mnemonic, so nothing that these accounts sign is worth anything elsewhere.
CHAIN_ID = 31337
MNEMONIC = "test test test test test test test test test test test junk"

# `register()` of the identity registry: the first four bytes of the Keccak-256 of its signature.
REGISTER = keccak_of("register()")[:10]
REGISTERED = keccak_of("Registered(uint256,string,address)")

RECEIPT_TIMEOUT_SECONDS = 30
RECEIPT_POLL_INTERVAL_SECONDS = 0.2
HOUR_SECONDS = 3600
NO_HASH = "0x" + "0" * 64

Account.enable_unaudited_hdwallet_features()
# Owners of an agent each, a client and a validator. The demo's traffic gives no agents to these four.
ALICE, BOB, CAROL, DAVE = (
    Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{place}") for place in range(4)
)


@dataclass
class Agent:
    """An agent of ours, and the transaction that registered it."""

    registry: str
    agent_id: int
    id: str
    owner: LocalAccount
    transaction: str

    def named(self):
        """How documents name it."""
        return {"agentRegistry": self.registry, "agentId": self.agent_id}


class Chain:
    """The chain's JSON-RPC."""

    def __init__(self, url):
        self.url = url

    def ask(self, method, *params):
        answer = post(self.url, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        if "error" in answer:
            raise ValueError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def receipt(self, transaction):
        """What became of a transaction, once a block has it."""
        end = time.monotonic() + RECEIPT_TIMEOUT_SECONDS
        while time.monotonic() < end:
            if receipt := self.ask("eth_getTransactionReceipt", transaction):
                return receipt
            time.sleep(RECEIPT_POLL_INTERVAL_SECONDS)
        raise TimeoutError(f"no block has {transaction} after {RECEIPT_TIMEOUT_SECONDS} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8004", help="where the node answers (%(default)s)")
    parser.add_argument("--rpc", required=True, help="where the chain is: the demo prints it")
    arguments = parser.parse_args()
    try:
        run(Meikan(arguments.url, CHAIN_ID), Chain(arguments.rpc))
    except (Refused, ValueError, OSError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


def run(meikan, chain):
    registry = find_registry(meikan)
    front = register_agent(meikan, chain, registry, ALICE)
    translator = register_agent(meikan, chain, registry, BOB)

    feedback(meikan, front)
    agent_card(meikan, front)
    validation(meikan, front)
    manifests(meikan, front)
    forward(meikan, front, translator)
    payment(meikan, chain, front)
    print("All is as it should be.")


def find_registry(meikan):
    """The identity registry of the demo's network, as the node has it."""
    answer = meikan.ask("{ networks { chainId name } protocols(first: 1000) { id identityRegistry } }")
    names = {network["chainId"]: network["name"] for network in answer["networks"]}
    registries = {protocol["id"]: protocol["identityRegistry"] for protocol in answer["protocols"]}
    if CHAIN_ID not in names or str(CHAIN_ID) not in registries:
        raise ValueError(f"the node at {meikan.url} does not follow the demo's chain {CHAIN_ID}")
    registry = registries[str(CHAIN_ID)]
    say("network", f"{names[CHAIN_ID]}, chain {CHAIN_ID}, identity registry {registry}")
    return registry


def register_agent(meikan, chain, registry, owner):
    """Registers an agent on the chain, and waits until the node has that block."""
    # The chain itself signs for this account (it holds its key), so that the demo's traffic, which uses the account
    # too, cannot take the transaction's number.
    transaction = chain.ask("eth_sendTransaction", {"from": owner.address, "to": registry, "data": REGISTER})
    receipt = chain.receipt(transaction)
    block = int(receipt["blockNumber"], 16)
    [registered] = [log for log in receipt["logs"] if log["topics"][0] == REGISTERED]
    agent_id = int(registered["topics"][1], 16)
    query = "query ($id: ID!, $block: Int!) { agent(id: $id, block: { number_gte: $block }) { id owner } }"
    agent = meikan.ask(query, {"id": f"{CHAIN_ID}:{agent_id}", "block": block})["agent"]
    expect("the new agent", agent, {"id": f"{CHAIN_ID}:{agent_id}", "owner": owner.address.lower()})
    say("agent", f"{agent['id']} of {owner.address}, registered in block {block}")
    return Agent(f"eip155:{CHAIN_ID}:{registry}", agent_id, agent["id"], owner, transaction)


def feedback(meikan, agent):
    """Feedback by a client: given, given once more, forged, revised, revoked."""
    content = feedback_content(agent, 87)
    document = {"feedback": content, **typed_once()}
    signed = meikan.sign("FEEDBACK", document, CAROL)
    given = meikan.submit("FEEDBACK", signed)
    expect("the version", given["version"], 1)
    say("feedback", f"{given['id']} with the value {given['value']}")

    feedback_file(meikan, content, given)
    expect("the record of the same document again", meikan.submit("FEEDBACK", signed), given)
    say("feedback", "the same document again gives the same record")
    verification(meikan, "FEEDBACK", signed)
    forgery(meikan, document, signed)

    revision = {"revises": given["digest"], "feedback": feedback_content(agent, 93), **typed_once()}
    revised = meikan.hand_in("FEEDBACK_REVISION", revision, CAROL)
    expect("the revised feedback", (revised["id"], revised["version"], revised["value"]), (given["id"], 2, "93"))
    say("revision", f"version {revised['version']} with the value {revised['value']}")

    revocation = {"revokes": given["digest"], "reason": "It was another agent.", **typed_once()}
    revoked = meikan.hand_in("FEEDBACK_REVOCATION", revocation, CAROL)
    expect("the revoked feedback", (revoked["id"], revoked["isRevoked"]), (given["id"], True))
    say("revocation", f"{revoked['id']} is revoked")


def feedback_content(agent, value):
    return {
        **agent.named(),
        "clientAddress": f"eip155:{CHAIN_ID}:{CAROL.address}",
        "createdAt": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "value": value,
        "valueDecimals": 0,
        "tag1": "starred",
        "text": "Prompt.",
        "mcp": {"tool": "search"},
    }


def feedback_file(meikan, content, given):
    """The file of the standard, which `giveFeedback` names on the chain by its URI and its hash."""
    file = meikan.file(given["cid"])
    expect("the feedback file", file, canonical(content))
    expect("its hash", keccak_of(file), given["fileHash"])
    expect("its URI", given["fileURI"], f"ipfs://{given['cid']}")
    say("file", f"/files/{given['cid']} has that SHA-256, and the Keccak-256 {given['fileHash']}")


def verification(meikan, kind, signed):
    """Anybody can ask whether somebody signed a document."""
    query = """query ($kind: DocumentKind!, $document: String!, $signer: String!, $signature: Bytes!) {
        verifySignature(kind: $kind, document: $document, signer: $signer, signature: $signature) {
            valid method reason
        }
    }"""
    check = meikan.ask(query, {"kind": kind, **signed})["verifySignature"]
    expect("the check", check, {"valid": True, "method": "KEY", "reason": None})
    say("verifySignature", "valid, by the key")


def forgery(meikan, document, signed):
    """Another document with the signature of the first one."""
    forged = {**signed, "document": canonical({**document, **typed_once()})}
    expect_refusal("INVALID_SIGNATURE", lambda: meikan.submit("FEEDBACK", forged))


def agent_card(meikan, agent):
    """What an agent says of itself, in the words of A2A."""
    card = {
        "name": "Front",
        "description": "Takes questions and passes them on.",
        "version": "1.0.0",
        "supportedInterfaces": [
            {"url": "https://front.example/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        ],
        "capabilities": {"streaming": True},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "ask", "name": "Ask", "description": "Answers a question.", "tags": ["questions"]}],
    }
    published = meikan.hand_in("AGENT_CARD", {**agent.named(), "card": card, **typed_once()}, agent.owner)
    expect("the hash of the card", published["cardHash"], keccak_of(canonical(card)))
    expect("whether its signer speaks for the agent", published["isAuthorized"], True)
    say("card", f"version {published['version']} of {published['id']}: {published['name']} at {published['url']}")


def validation(meikan, agent):
    """A request to a validator, and the validator's answer."""
    request = {
        **agent.named(),
        "validator": DAVE.address,
        "dataHash": keccak_of("what is to be validated"),
        "dataURI": "https://front.example/results/1",
        "expiresAt": now_seconds() + 24 * HOUR_SECONDS,
        **typed_once(),
    }
    requested = meikan.hand_in("VALIDATION_REQUEST", request, agent.owner)
    expect("the request", (requested["status"], requested["validator"]), ("PENDING", DAVE.address.lower()))
    say("validation", f"{requested['id']} is {requested['status']}")

    response = {"request": requested["digest"], "response": 90, "tag": "rerun", **typed_once()}
    responded = meikan.hand_in("VALIDATION_RESPONSE", response, DAVE)
    found = (responded["id"], responded["status"], responded["response"])
    expect("the answer", found, (requested["id"], "COMPLETED", 90))
    say("validation", f"{responded['id']} is {responded['status']} with {responded['response']} of 100")


def manifests(meikan, agent):
    """Two manifests: the agent moves, which is told as a flip. Then the end of the second one."""
    publish_manifest(meikan, agent, "https://front.example")
    moved = publish_manifest(meikan, agent, "https://front-2.example")
    query = """query ($digest: Bytes!) {
        manifestFlips(where: { source: SIGNED, digest: $digest }) { endpoint previousEndpoint suspicionScore }
    }"""
    flips = meikan.ask(query, {"digest": moved["hash"]})["manifestFlips"]
    expect("the number of flips", len(flips), 1)
    flip = flips[0]
    places = (flip["previousEndpoint"], flip["endpoint"])
    expect("the flip", places, ("https://front.example", "https://front-2.example"))
    say("flip", f"from {places[0]} to {places[1]}, suspicion {flip['suspicionScore']}")

    revocation = {**agent.named(), "manifestHash": moved["hash"], "nonce": random_nonce()}
    revoked = meikan.hand_in("MANIFEST_REVOCATION", revocation, agent.owner)
    expect("the manifest", (revoked["id"], revoked["status"]), (moved["id"], "REVOKED"))
    say("manifest", f"{revoked['id']} is {revoked['status']}")


def publish_manifest(meikan, agent, endpoint):
    manifest = {
        **agent.named(),
        "endpointUri": endpoint,
        "pubkey": "ed25519:" + "ab" * 32,
        # A minute ago, for clocks that differ.
        "validFrom": now_seconds() - 60,
        "validUntil": now_seconds() + 12 * HOUR_SECONDS,
        # A manifest's nonce must be higher than those before: the milliseconds are.
        "nonce": time.time_ns() // 1_000_000,
    }
    published = meikan.hand_in("MANIFEST", manifest, agent.owner)
    expect("the manifest", (published["status"], published["isCurrent"]), ("ACTIVE", True))
    say("manifest", f"{published['id']}: {published['endpointUri']} is {published['status']}")
    return published


def forward(meikan, source, destination):
    """A request that goes from one agent to another: may it, it did, and it must not come back."""
    there = publish_manifest(meikan, destination, "https://translator.example")
    back = publish_manifest(meikan, source, "https://front.example")
    path = source.transaction
    expect("whether it may go there", outcome(meikan, there["hash"], path, source), "OK")

    receipt = receipt_of(path, 0, source, destination, there["hash"])
    recorded = meikan.hand_in("FORWARD_RECEIPT", receipt, destination.owner)
    expect("the hop", recorded["hop"], 0)
    say("receipt", f"{recorded['id']}: {source.id} passed a request on to {destination.id}")

    expect("whether it may come back", outcome(meikan, back["hash"], path, destination), "CYCLE_DETECTED")
    circular = receipt_of(path, 1, destination, source, back["hash"])
    closing = meikan.sign("FORWARD_RECEIPT", circular, source.owner)
    expect_refusal("CIRCULAR_DEPENDENCY", lambda: meikan.submit("FORWARD_RECEIPT", closing))
    circle(meikan, [source, destination], closing)


def circle(meikan, agents, closing):
    """Whoever holds the receipt that closes a circle can report it; then its agents are not trusted any more."""
    report = {
        "agentIds": [agent.agent_id for agent in agents],
        "receipt": json.loads(closing["document"]),
        "receiptSigner": closing["signer"],
        "receiptSignature": closing["signature"],
        "nonce": random_nonce(),
    }
    reported = meikan.hand_in("CYCLE_REPORT", report, CAROL)
    expect("the circle", (reported["depth"], reported["agents"]), (2, [agent.id for agent in agents]))
    query = "query ($id: ID!) { agentReputation(id: $id) { trustLevel } }"
    level = meikan.ask(query, {"id": agents[0].id})["agentReputation"]["trustLevel"]
    expect("the trust in its agents", level, "UNTRUSTED")
    say("circle", f"{' → '.join(reported['agents'])} are {level}")


def payment(meikan, chain, agent):
    """A client pays the agent's wallet of the chain's own coin, and says so."""
    amount = 1_000
    # A new agent's wallet is its owner.
    order = {"from": CAROL.address, "to": agent.owner.address, "value": hex(amount)}
    transaction = chain.ask("eth_sendTransaction", order)
    block = int(chain.receipt(transaction)["blockNumber"], 16)
    query = "query ($id: ID!, $block: Int!) { agent(id: $id, block: { number_gte: $block }) { id } }"
    meikan.ask(query, {"id": agent.id, "block": block})
    link = {**agent.named(), "txHash": transaction, "amount": amount}
    linked = meikan.hand_in("PAYMENT_LINK", {**link, **typed_once()}, CAROL)
    told = (linked["status"], linked["means"], linked["payer"], linked["amount"])
    expect("the payment", told, ("CONFIRMED", "COIN", CAROL.address.lower(), str(amount)))
    say("payment", f"{linked['id']} of {linked['amount']} wei is {linked['status']}")
    expect_refusal("CONFLICT", lambda: meikan.hand_in("PAYMENT_LINK", {**link, **typed_once()}, CAROL))


def receipt_of(path, hop, source, destination, manifest_hash):
    """That the destination took over a request, which the destination's owner signs. A path is named by the transaction
    that it begins with."""
    return {
        "agentRegistry": source.registry,
        "rootTxHash": path,
        "hop": hop,
        "sourceAgentId": source.agent_id,
        "destinationAgentId": destination.agent_id,
        "manifestHash": manifest_hash,
        "nextHopHash": NO_HASH,
        "nonce": random_nonce(),
    }


def outcome(meikan, manifest_hash, path, source):
    query = """query ($manifestHash: Bytes!, $rootTxHash: Bytes!, $source: ID!) {
        verifyForward(manifestHash: $manifestHash, rootTxHash: $rootTxHash, source: $source) { outcome }
    }"""
    variables = {"manifestHash": manifest_hash, "rootTxHash": path, "source": source.id}
    found = meikan.ask(query, variables)["verifyForward"]["outcome"]
    say("verifyForward", f"from {source.id}: {found}")
    return found


def typed_once():
    """What makes a typed document one that can be handed in once, and only for some minutes."""
    return {"nonce": random_nonce(), "deadline": now_seconds() + 600}


def random_nonce():
    """63 random bits behind a one, as a string: what is beyond 2^53 must be one, and what is not must not."""
    return str(secrets.randbits(63) | 1 << 63)


def now_seconds():
    return int(time.time())


def expect_refusal(code, attempt):
    try:
        attempt()
    except Refused as refusal:
        expect("the refusal", refusal.code, code)
        say("refused", str(refusal))
    else:
        raise ValueError(f"this is not refused: {code}")


def expect(what, found, wanted):
    if found != wanted:
        raise ValueError(f"{what} is {found!r}, and should be {wanted!r}")


def say(step, outcome):
    print(f"{step:<16}{outcome}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
