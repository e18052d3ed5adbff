"""A small client of a Meikan node: asks it GraphQL, and signs documents and hands them in.

What is signed is made here, from the document alone, and only then compared with what the node says (`signingPayload`):
whoever signs what a server shows them signs what the server wants.
"""

import base64
import hashlib
import json
import urllib.error
import urllib.request

from eth_account.messages import encode_defunct, encode_typed_data
from eth_utils import keccak

REQUEST_TIMEOUT_SECONDS = 30

# The kinds of documents: the mutation that takes each, and the fields of the record that are asked back.
KINDS = {
    "FEEDBACK": ("submitFeedback", "id digest version value isRevoked cid fileHash fileURI"),
    "FEEDBACK_REVISION": ("reviseFeedback", "id digest version value isRevoked"),
    "FEEDBACK_REVOCATION": ("revokeFeedback", "id version isRevoked"),
    "AGENT_CARD": ("publishAgentCard", "id version name url cardHash isAuthorized"),
    "VALIDATION_REQUEST": ("requestValidation", "id digest status validator"),
    "VALIDATION_RESPONSE": ("respondValidation", "id status response answers tag"),
    "MANIFEST": ("publishManifest", "id hash status endpointUri isCurrent"),
    "MANIFEST_REVOCATION": ("revokeManifest", "id hash status"),
    "FORWARD_RECEIPT": ("recordForward", "id hash hop sourceAgentId destinationAgentId"),
    "CYCLE_REPORT": ("reportCycle", "id hash depth agents"),
    "PAYMENT_LINK": ("linkPayment", "id digest status means payer amount"),
}

# The types of EIP-712, by kind; a kind without any is signed as text (EIP-191).
FEEDBACK_CONTENT = {
    "FeedbackContent": "string agentRegistry,uint256 agentId,string clientAddress,string createdAt,int128 value,"
    "uint8 valueDecimals,string tag1,string tag2,string endpoint,string text,Mcp mcp,A2a a2a,Oasf oasf,"
    "ProofOfPayment proofOfPayment",
    "Mcp": "string tool,string prompt,string resource",
    "A2a": "string[] skills,string contextId,string taskId",
    "Oasf": "string[] skills,string[] domains",
    "ProofOfPayment": "string fromAddress,string toAddress,string chainId,string txHash",
}
TYPES = {
    "FEEDBACK": {"Feedback": "FeedbackContent feedback,uint256 nonce,uint256 deadline", **FEEDBACK_CONTENT},
    "FEEDBACK_REVISION": {
        "FeedbackRevision": "bytes32 revises,FeedbackContent feedback,uint256 nonce,uint256 deadline",
        **FEEDBACK_CONTENT,
    },
    "FEEDBACK_REVOCATION": {"FeedbackRevocation": "bytes32 revokes,string reason,uint256 nonce,uint256 deadline"},
    "AGENT_CARD": {
        "AgentCard": "string agentRegistry,uint256 agentId,bytes32 cardHash,uint256 nonce,uint256 deadline"
    },
    "VALIDATION_REQUEST": {
        "ValidationRequest": "string agentRegistry,uint256 agentId,address validator,bytes32 dataHash,string dataURI,"
        "uint256 expiresAt,uint256 nonce,uint256 deadline"
    },
    "VALIDATION_RESPONSE": {
        "ValidationResponse": "bytes32 request,uint8 response,string responseURI,bytes32 responseHash,string tag,"
        "uint256 nonce,uint256 deadline"
    },
    "PAYMENT_LINK": {
        "PaymentLink": "string agentRegistry,uint256 agentId,bytes32 txHash,address token,uint256 amount,"
        "string endpoint,uint256 nonce,uint256 deadline"
    },
}
DOMAIN_TYPE = "string name,string version,uint256 chainId"


class Refused(Exception):
    """An answer of the node that is an error, with its code."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Meikan:
    def __init__(self, url, chain_id):
        self.url = url.rstrip("/")
        self.chain_id = chain_id

    def hand_in(self, kind, document, signer):
        """Signs a document and hands it in; returns the record."""
        return self.submit(kind, self.sign(kind, document, signer))

    def sign(self, kind, document, signer):
        """Signs a document, and sees that the node agrees about what that means. Returns what its mutation takes."""
        text = canonical(document)
        signed = signer.sign_message(signable_of(kind, self.chain_id, document))
        hash, wanted = hex_of(signed.message_hash), self.signing_payload(kind, text)["hash"]
        if hash != wanted:
            raise ValueError(f"the node would have {wanted} signed, and this is {hash}")
        signer_id = f"eip155:{self.chain_id}:{signer.address}"
        return {"document": text, "signer": signer_id, "signature": hex_of(signed.signature)}

    def submit(self, kind, signed):
        """Hands in what is signed. Whoever does not know whether a try arrived may call it again with the same."""
        mutation, fields = KINDS[kind]
        query = f"""mutation ($document: String!, $signer: String!, $signature: Bytes!) {{
            {mutation}(document: $document, signer: $signer, signature: $signature) {{ {fields} }}
        }}"""
        return self.ask(query, signed)[mutation]

    def signing_payload(self, kind, document):
        """What the node says is to be signed of a document."""
        query = """query ($kind: DocumentKind!, $document: String!, $chainId: Int) {
            signingPayload(kind: $kind, document: $document, chainId: $chainId) { digest hash typedData text }
        }"""
        variables = {"kind": kind, "document": document, "chainId": self.chain_id}
        return self.ask(query, variables)["signingPayload"]

    def ask(self, query, variables=None):
        """Any query or mutation."""
        answer = post(f"{self.url}/graphql", {"query": query, "variables": variables or {}})
        if "errors" in answer:
            error = answer["errors"][0]
            raise Refused(error.get("extensions", {}).get("code"), error["message"])
        return answer["data"]

    def file(self, cid):
        """A file that a document made, by its content identifier. The identifier is the proof: another has another."""
        with urllib.request.urlopen(f"{self.url}/files/{cid}", timeout=REQUEST_TIMEOUT_SECONDS) as response:
            file = response.read()
        if cid_of(file) != cid:
            raise ValueError(f"/files/{cid} is not that file")
        return file.decode()


def post(url, body):
    """JSON by POST; what comes with an HTTP status that is an error is an answer too."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return json.load(error)


def canonical(value):
    """The canonical form of JSON (RFC 8785) of what has no fractions, and no member's name beyond ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def keccak_of(text):
    return hex_of(keccak(text.encode()))


def cid_of(file):
    """The content identifier of a file: CIDv1, raw, SHA-256, in base 32."""
    name = bytes([0x01, 0x55, 0x12, 0x20]) + hashlib.sha256(file).digest()
    return "b" + base64.b32encode(name).decode().lower().rstrip("=")


def hex_of(data):
    return "0x" + bytes(data).hex()


def signable_of(kind, chain_id, document):
    """What is signed of a document: typed data, or its canonical form as text."""
    if kind not in TYPES:
        return encode_defunct(text=canonical(document))
    primary_type = next(iter(TYPES[kind]))
    types = {name: members(text) for name, text in {**TYPES[kind], "EIP712Domain": DOMAIN_TYPE}.items()}
    if "card" in document:
        # Of a card only the hash of its canonical form is signed.
        document = {**document, "cardHash": keccak_of(canonical(document["card"]))}
    return encode_typed_data(
        full_message={
            "domain": {"name": "Meikan", "version": "1", "chainId": chain_id},
            "types": types,
            "primaryType": primary_type,
            "message": written(primary_type, document, types),
        }
    )


def members(text):
    pairs = [member.split(" ") for member in text.split(",")]
    return [{"type": kind, "name": name} for kind, name in pairs]


def written(kind, value, types):
    """A value with every member of its type: those that a document leaves out are signed as empty."""
    if kind in types:
        value = value or {}
        return {member["name"]: written(member["type"], value.get(member["name"]), types) for member in types[kind]}
    if value is None:
        digits = {"address": 40, "bytes32": 64}
        return [] if kind.endswith("[]") else "0x" + "0" * digits[kind] if kind in digits else ""
    return int(value) if "int" in kind else value
