// Writes vectors.json: documents of every kind with what is signed of them, made by libraries that share no code with
// the node. viem hashes and signs, canonicalize writes RFC 8785, multiformats names files. The types are written here
// once more on purpose: a slip in the node's own would show.

import canonicalize from 'canonicalize';
import { CID } from 'multiformats/cid';
import { code as RAW } from 'multiformats/codecs/raw';
import { sha256 as sha256Hasher } from 'multiformats/hashes/sha2';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashMessage, hashTypedData, keccak256, sha256, stringToBytes } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';

// The first five accounts of "test test test test test test test test test test test junk", which everybody knows.
const ACCOUNTS = [
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
  '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a',
  '0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6',
  '0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a',
].map((key) => privateKeyToAccount(key));

const CONTENT = [
  'FeedbackContent(string agentRegistry,uint256 agentId,string clientAddress,string createdAt,int128 value,' +
    'uint8 valueDecimals,string tag1,string tag2,string endpoint,string text,Mcp mcp,A2a a2a,Oasf oasf,' +
    'ProofOfPayment proofOfPayment)',
  'Mcp(string tool,string prompt,string resource)',
  'A2a(string[] skills,string contextId,string taskId)',
  'Oasf(string[] skills,string[] domains)',
  'ProofOfPayment(string fromAddress,string toAddress,string chainId,string txHash)',
];

/** The types of the kinds that are signed as typed data, that of the document first. The others are signed as text. */
const TYPES = {
  FEEDBACK: ['Feedback(FeedbackContent feedback,uint256 nonce,uint256 deadline)', ...CONTENT],
  FEEDBACK_REVISION: [
    'FeedbackRevision(bytes32 revises,FeedbackContent feedback,uint256 nonce,uint256 deadline)',
    ...CONTENT,
  ],
  FEEDBACK_REVOCATION: ['FeedbackRevocation(bytes32 revokes,string reason,uint256 nonce,uint256 deadline)'],
  AGENT_CARD: ['AgentCard(string agentRegistry,uint256 agentId,bytes32 cardHash,uint256 nonce,uint256 deadline)'],
  VALIDATION_REQUEST: [
    'ValidationRequest(string agentRegistry,uint256 agentId,address validator,bytes32 dataHash,string dataURI,' +
      'uint256 expiresAt,uint256 nonce,uint256 deadline)',
  ],
  VALIDATION_RESPONSE: [
    'ValidationResponse(bytes32 request,uint8 response,string responseURI,bytes32 responseHash,string tag,' +
      'uint256 nonce,uint256 deadline)',
  ],
  PAYMENT_LINK: [
    'PaymentLink(string agentRegistry,uint256 agentId,bytes32 txHash,address token,uint256 amount,string endpoint,' +
      'uint256 nonce,uint256 deadline)',
  ],
};
const DOMAIN_TYPE = 'EIP712Domain(string name,string version,uint256 chainId)';

const ZERO_WORD = `0x${'0'.repeat(64)}`;
const ZERO_ADDRESS = `0x${'0'.repeat(40)}`;
const UINT256_MAX = '115792089237316195423570985008687907853269984665640564039457584007913129639935';
const MAX_EXACT = 2n ** 53n;

const REGISTRY = '0x8004A169FB4a3325136EB29fA0ceB6D2e539a432';
const TAIKO = registryOn(167_000);
const MAINNET = registryOn(1);
const BASE = registryOn(8453).toLowerCase();
// A chain's id that needs more than 32 bits, and an address whose letters are all capitals, so no checksum.
const FAR_AWAY = `eip155:4503599627370449:0x${REGISTRY.slice(2).toUpperCase()}`;

// Every control character but NUL, quotes, backslashes, what HTML and JavaScript treat apart, letters beyond ASCII,
// beyond the first plane, joined and combined, right to left, and the last character of a plane, which is none.
const CONTROLS = Array.from({ length: 31 }, (_, place) => String.fromCharCode(place + 1)).join('');
const ODD = `"quoted" \\back\\slashed\\ /slashed/ ${CONTROLS}\u007f\u0080 <b>&amp;</b> \u2028\u2029 é e\u0301 ß 名鑑 ` +
  `עברית \ufb33 \ufeff\uffff 😀 👩‍👩‍👧 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u{10ffff}`;
// The same as a text of JSON with everything escaped that can be, in capitals and in small letters.
const ODD_ESCAPED = [...ODD].map((character) => [...Array(character.length).keys()].map((unit) => {
  const hex = character.charCodeAt(unit).toString(16).padStart(4, '0');
  return `\\u${character.charCodeAt(unit) % 2 ? hex : hex.toUpperCase()}`;
}).join('')).join('');

const vectors = [];

function registryOn(chainId) {
  return `eip155:${chainId}:${REGISTRY}`;
}

function hashOf(text) {
  return keccak256(stringToBytes(text));
}

function digestOf(name) {
  return vectors.find((vector) => vector.name === name).digest;
}

/** The members of a type and its name, from EIP-712's encodeType. */
function parsed(encodeType) {
  const [, name, members] = encodeType.match(/^(\w+)\((.*)\)$/);
  const pairs = members.split(',').map((member) => member.split(' '));
  return [name, pairs.map(([type, member]) => ({ name: member, type }))];
}

/** A value of a document with all members written out, and numbers so that nobody rounds them. */
function written(type, value, types) {
  if (types[type]) {
    const members = types[type].map((member) => [member.name, written(member.type, value?.[member.name], types)]);
    return Object.fromEntries(members);
  }
  if (type.endsWith('[]')) return value ?? [];
  if (/^u?int/.test(type)) return number(value);
  if (type === 'bytes32') return (value ?? ZERO_WORD).toLowerCase();
  if (type === 'address') return (value ?? ZERO_ADDRESS).toLowerCase();
  return value ?? '';
}

function number(value) {
  const whole = BigInt(value);
  return whole <= MAX_EXACT && -whole <= MAX_EXACT ? Number(whole) : String(whole);
}

/** An object without its empty members. */
function said(object) {
  const isEmpty = (value) => typeof value !== 'number' && Object.keys(value).length === 0;
  return Object.fromEntries(Object.entries(object).filter(([, value]) => !isEmpty(value)));
}

/** The file of the standard that feedback makes. */
async function feedbackFile(content) {
  const parts = Object.entries(content).map(([name, value]) => [name, isObject(value) ? said(value) : value]);
  const file = canonicalize(said(Object.fromEntries(parts)));
  const cid = CID.createV1(RAW, await sha256Hasher.digest(stringToBytes(file)));
  return { file, fileHash: hashOf(file), cid: cid.toString() };
}

function isObject(value) {
  return typeof value === 'object' && !Array.isArray(value);
}

/** What `eth_signTypedData_v4` takes. */
function typedData(kind, chainId, document) {
  const types = Object.fromEntries([...TYPES[kind], DOMAIN_TYPE].map(parsed));
  const [primaryType] = parsed(TYPES[kind][0]);
  const message = written(primaryType, document, types);
  return { domain: { name: 'Meikan', version: '1', chainId }, primaryType, types, message };
}

/** Adds a document that is signed as typed data, given as the text that is handed in. */
async function typed(name, kind, signer, account, document) {
  const chainId = Number(signer.split(':')[1]);
  const read = JSON.parse(document);
  const extra = {};
  if (kind === 'AGENT_CARD') {
    extra.cardFile = canonicalize(read.card);
    extra.cardHash = read.cardHash = hashOf(extra.cardFile);
  }
  const shown = typedData(kind, chainId, read);
  if (read.feedback) Object.assign(extra, await feedbackFile(shown.message.feedback));
  const hash = hashTypedData(shown);
  const signature = await account.signTypedData(shown);
  vectors.push({ name, kind, chainId, signer, document, shown, digest: hash, hash, signature, ...extra });
}

/** Adds a document that is signed as text, given as its members. */
async function text(name, kind, signer, account, members) {
  const chainId = Number(signer.split(':')[1]);
  const shown = canonicalize(members);
  const signature = await account.signMessage({ message: shown });
  const hashes = { digest: sha256(stringToBytes(shown)), hash: hashMessage(shown) };
  vectors.push({ name, kind, chainId, signer, document: shown, shown, ...hashes, signature });
}

/** An account as whoever signs writes it. */
function checksummed(chainId, account) {
  return `eip155:${chainId}:${account.address}`;
}

function lower(chainId, account) {
  return checksummed(chainId, account).toLowerCase();
}

const [ALICE, BOB, CAROL, DAVE, ERIN] = ACCOUNTS;

// Feedback.

await typed('feedback-minimal', 'FEEDBACK', lower(167_000, ALICE), ALICE, String.raw`{
  "feedback": {
    "agentRegistry": "${TAIKO}", "agentId": 42, "clientAddress": "${lower(167_000, ALICE)}",
    "createdAt": "2026-01-31T12:00:00Z", "value": 5, "valueDecimals": 0
  },
  "nonce": 1,
  "deadline": 1800000000
}`);

// What is empty may be said, and numbers may be strings: it is the same document, with the same digest and signature.
await typed('feedback-minimal-spelled-out', 'FEEDBACK', lower(167_000, ALICE), ALICE, String.raw`{
  "deadline": "1800000000", "nonce": "1",
  "feedback": {
    "proofOfPayment": {"fromAddress": "", "toAddress": "", "chainId": "", "txHash": ""},
    "oasf": {"skills": [], "domains": []}, "a2a": {"skills": [], "contextId": ""}, "mcp": {},
    "text": "", "endpoint": "", "tag2": "", "tag1": "", "valueDecimals": 0, "value": "5",
    "createdAt": "2026-01-31T12:00:00Z", "clientAddress": "${lower(167_000, ALICE)}",
    "agentId": "42", "agentRegistry": "${TAIKO}"
  }
}`);

await typed('feedback-full', 'FEEDBACK', checksummed(1, BOB), BOB, String.raw`{
  "nonce": 7, "deadline": "1800000000",
  "feedback": {
    "agentRegistry": "${MAINNET}", "agentId": "22",
    "clientAddress": "${checksummed(1, BOB)}", "createdAt": "2026-02-28T23:59:59.123456Z",
    "value": -9977, "valueDecimals": 2, "tag1": "uptime", "tag2": "day",
    "endpoint": "https:\/\/agent.example.com\/mcp?q=1&r=%20", "text": "It answered \"soon\".\nMostly.",
    "mcp": {"tool": "search", "prompt": "find", "resource": "file:\/\/\/data.csv"},
    "a2a": {"skills": ["translate", "summarise"], "contextId": "c-1", "taskId": "t-1"},
    "oasf": {"skills": ["natural_language_processing\/summarization"], "domains": ["finance", "technology"]},
    "proofOfPayment": {
      "fromAddress": "${BOB.address}", "toAddress": "${CAROL.address}", "chainId": "1",
      "txHash": "${hashOf('a payment')}"
    }
  }
}`);

await typed('feedback-extreme', 'FEEDBACK', checksummed(4503599627370449, CAROL), CAROL, String.raw`{
  "nonce": "${UINT256_MAX}", "deadline": "${UINT256_MAX}",
  "feedback": {
    "agentRegistry": "${FAR_AWAY}", "agentId": "${UINT256_MAX}",
    "clientAddress": "${lower(4503599627370449, CAROL)}", "createdAt": "9999-12-31T23:59:59.999999999Z",
    "value": "-100000000000000000000000000000000000000", "valueDecimals": 18,
    "tag1": "\u0022\u005C\u000a", "tag2": "\ud83d\ude00 and 😀", "endpoint": "https://例え.テスト/ü?ö#ä",
    "text": "${ODD_ESCAPED}",
    "mcp": {"tool": " ", "prompt": "\t", "resource": "\u00e9 or e\u0301"},
    "a2a": {"skills": ["b", "a", "b", "名鑑", "😀"], "contextId": "null", "taskId": "[]"},
    "oasf": {"skills": ["\u2028", "true"], "domains": ["0x", "0x00", "{}"]},
    "proofOfPayment": {"fromAddress": "0x", "toAddress": "0xZZ", "chainId": "-0", "txHash": "1e3"}
  }
}`);

// Numbers at the limit up to which they are numbers, and objects that are only begun.
await typed('feedback-exact', 'FEEDBACK', lower(8453, DAVE), DAVE, String.raw`{"nonce":9007199254740992,
"deadline":"9007199254740993","feedback":{"agentRegistry":"${BASE}","agentId":"9007199254740991","clientAddress":
"${checksummed(8453, DAVE)}","createdAt":"1970-01-01T00:00:00Z","value":-9007199254740992,"valueDecimals":6,
"tag2":"only the second","mcp":{"resource":"only it"},"a2a":{"skills":["one"]},"oasf":{"domains":["one"]},
"proofOfPayment":{"chainId":"8453"}}}`);

await typed('feedback-beyond-exact', 'FEEDBACK', lower(167_000, ERIN), ERIN, String.raw`{
  "feedback": {
    "agentRegistry": "${TAIKO}", "agentId": 0, "clientAddress": "${checksummed(167_000, ERIN)}",
    "createdAt": "2026-01-31T12:00:00Z", "value": "-9007199254740993", "valueDecimals": 18, "text": "x"
  },
  "nonce": 0, "deadline": 0
}`);

// New versions of feedback.

await typed('feedback-revision-minimal', 'FEEDBACK_REVISION', lower(167_000, ALICE), ALICE, String.raw`{
  "revises": "${digestOf('feedback-minimal')}",
  "feedback": {
    "agentRegistry": "${TAIKO}", "agentId": 42, "clientAddress": "${lower(167_000, ALICE)}",
    "createdAt": "2026-02-01T12:00:00Z", "value": 4, "valueDecimals": 0
  },
  "nonce": 2,
  "deadline": 1800000000
}`);

await typed('feedback-revision-full', 'FEEDBACK_REVISION', checksummed(1, BOB), BOB, String.raw`{
  "deadline": 1800000001, "nonce": "8", "revises": "${digestOf('feedback-full')}",
  "feedback": {
    "tag1": "uptime", "tag2": "week", "endpoint": "https://agent.example.com/mcp", "text": "It got better.",
    "agentRegistry": "${MAINNET.toLowerCase()}", "agentId": 22, "clientAddress": "${checksummed(1, BOB)}",
    "createdAt": "2026-03-01T00:00:00Z", "value": "9999", "valueDecimals": 2,
    "mcp": {"tool": "search", "prompt": "find", "resource": "file:///data.csv"},
    "a2a": {"skills": ["translate"], "contextId": "c-2", "taskId": "t-2"},
    "oasf": {"skills": ["summarization"], "domains": ["finance"]},
    "proofOfPayment": {
      "fromAddress": "${BOB.address}", "toAddress": "${CAROL.address}", "chainId": "1", "txHash": "${hashOf('another')}"
    }
  }
}`);

await typed('feedback-revision-extreme', 'FEEDBACK_REVISION', checksummed(4503599627370449, CAROL), CAROL, String.raw`{
  "revises": "0x${'F'.repeat(64)}", "nonce": "${UINT256_MAX}", "deadline": "${UINT256_MAX}",
  "feedback": {
    "agentRegistry": "${FAR_AWAY}", "agentId": "${UINT256_MAX}",
    "clientAddress": "eip155:4503599627370449:0x${CAROL.address.slice(2).toUpperCase()}",
    "createdAt": "0000-01-01T00:00:00Z", "value": "100000000000000000000000000000000000000", "valueDecimals": 18,
    "text": "${ODD_ESCAPED}", "a2a": {"skills": ["${ODD_ESCAPED}"]}
  }
}`);

// The end of feedback.

await typed('feedback-revocation-minimal', 'FEEDBACK_REVOCATION', lower(167_000, ALICE), ALICE, String.raw`{
  "revokes": "${digestOf('feedback-minimal')}", "nonce": 1, "deadline": 1800000000
}`);

await typed('feedback-revocation-full', 'FEEDBACK_REVOCATION', checksummed(1, BOB), BOB, String.raw`{
  "reason": "It was another agent.", "deadline": "1800000000", "nonce": "2", "revokes": "${digestOf('feedback-full')}"
}`);

await typed('feedback-revocation-extreme', 'FEEDBACK_REVOCATION', checksummed(1313161554, ERIN), ERIN, String.raw`{
  "nonce": "${UINT256_MAX}", "deadline": "${UINT256_MAX}", "reason": "${ODD_ESCAPED}",
  "revokes": "0x${'0'.repeat(63)}A"
}`);

// Cards.

await typed('agent-card-minimal', 'AGENT_CARD', lower(167_000, ALICE), ALICE, String.raw`{
  "agentRegistry": "${TAIKO}", "agentId": 42,
  "card": {
    "name": "Echo", "description": "It says what it hears.", "version": "1.0.0",
    "supportedInterfaces": [
      {"url": "https://echo.example.com/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    ],
    "capabilities": {}, "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
    "skills": [{"id": "echo", "name": "Echo", "description": "Says it again.", "tags": ["echo"]}]
  },
  "nonce": 1, "deadline": 1800000000
}`);

await typed('agent-card-full', 'AGENT_CARD', checksummed(1, BOB), BOB, String.raw`{
  "deadline": "1800000000", "nonce": "2",
  "card": {
    "version": "2.1.0-beta+5", "name": "Route planner", "description": "Plans \"routes\".\nIn the car, by train.",
    "provider": {"url": "https://routes.example.com", "organization": "Routes & Co."},
    "supportedInterfaces": [
      {"url": "https://routes.example.com/a2a/v1", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
      {"url": "http://routes.example.com:80/", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0", "tenant": ""}
    ],
    "capabilities": {
      "streaming": true, "pushNotifications": false, "extendedAgentCard": null,
      "extensions": [{"uri": "urn:x", "required": false, "params": {"depth": {"of": [1, [2, [3, {}]], []]}}}]
    },
    "securitySchemes": {"google": {"openIdConnectSecurityScheme": {"openIdConnectUrl": "https://a.example.com"}}},
    "securityRequirements": [{"schemes": {"google": {"list": ["openid", "profile", "email"]}}}],
    "defaultInputModes": ["application/json", "text/plain"], "defaultOutputModes": ["application/json", "image/png"],
    "skills": [
      {
        "id": "route", "name": "Route", "description": "From here to there.", "tags": ["maps", "traffic"],
        "examples": ["from 1 to 2", "{\"origin\": {\"lat\": 37.422, \"lng\": -122.084}}"],
        "inputModes": ["application/json"], "outputModes": ["application/json"]
      },
      {"id": "map", "name": "Map", "description": "A map of it.", "tags": ["maps"]}
    ],
    "documentationUrl": "https://docs.example.com/", "iconUrl": "https://routes.example.com/icon.png",
    "signatures": [{"protected": "eyJhbGciOiJFUzI1NiJ9", "signature": "QFdkNLNszlGj3z3u0YQGt_T9LixY3qtdQpZms"}]
  },
  "agentId": "22", "agentRegistry": "${MAINNET}"
}`);

// Numbers in every spelling, the neighbours of those that are hard to round, and names that are sorted by their UTF-16
// code units (those of RFC 8785, section 3.2.3, and some on which sorting by characters or by numbers would err).
await typed('agent-card-extreme', 'AGENT_CARD', checksummed(4503599627370449, CAROL), CAROL, String.raw`{
  "agentRegistry": "${FAR_AWAY}", "agentId": "${UINT256_MAX}", "nonce": "${UINT256_MAX}", "deadline": "${UINT256_MAX}",
  "card": {
    "name": "名鑑 😀", "description": "${ODD_ESCAPED}", "version": "\u00e9",
    "supportedInterfaces": [
      {"protocolVersion": "1.0", "protocolBinding": "GRPC", "url": "HTTPS://例え.テスト:443/../a"}
    ],
    "capabilities": {
      "numbers": [
        0, -0, 0.0, -0.0, 1.0, 1e3, 1E+2, 10e-1, 0.1, -0.1, 1e-6, 1e-7, 0.000001, 0.0000001, 4.50, 2e-3, 4.35, 0.3,
        0.30000000000000004, 333333333.33333329, 1e-27, 5e-324, 2.2250738585072014e-308, 2.2250738585072011e-308,
        -1.7976931348623157e-300, 9007199254740991, 9007199254740992, -9007199254740992, 9007199254740992.0,
        4503599627370495.5, 4503599627370497.5, 0.1000000000000000055511151231257827021181583404541015625,
        8.5e-5, 1.7800590868057611e-307, 123456.789, 5.0000000000000005e-5, 295.14800000000002
      ],
      "names": {
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
        "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis",
        "": "Empty", "10": "Ten", "9": "Nine", "2": "Two", "a": {"b": {"c": {"B": 1, "A": 2, "_": 3, "b": 4}}},
        "\uffff": "None", "\ue000": "Private", "\udbff\udfff": "Last", "e\u0301": "Two", "\u00e9": "One", "A": null,
        "toString": true, "constructor": false, "\"": "Quote", "\\": "Backslash", "\u007f": "Delete"
      }
    },
    "defaultInputModes": ["*/*"], "defaultOutputModes": ["*/*"],
    "skills": [{"tags": ["\u2028", "😀"], "description": "-", "name": " ", "id": "\\"}]
  }
}`);

// Validations.

await typed('validation-request-minimal', 'VALIDATION_REQUEST', lower(167_000, ALICE), ALICE, String.raw`{
  "agentRegistry": "${TAIKO}", "agentId": 42, "validator": "${BOB.address.toLowerCase()}",
  "dataHash": "${hashOf('work')}", "dataURI": "ipfs://bafywork", "expiresAt": 1800003600, "nonce": 1,
  "deadline": 1800000000
}`);

await typed('validation-request-full', 'VALIDATION_REQUEST', checksummed(1, BOB), BOB, String.raw`{
  "deadline": "1800000000", "nonce": "2", "expiresAt": "9007199254740992",
  "dataURI": "https:\/\/work.example.com\/42?a=\"b\"", "dataHash": "${hashOf('more work')}",
  "validator": "${CAROL.address}", "agentId": "22", "agentRegistry": "${MAINNET}"
}`);

await typed('validation-request-extreme', 'VALIDATION_REQUEST', checksummed(4503599627370449, DAVE), DAVE, String.raw`{
  "agentRegistry": "${FAR_AWAY}", "agentId": "${UINT256_MAX}", "validator": "0x${'F'.repeat(40)}",
  "dataHash": "0x${'F'.repeat(64)}", "dataURI": "${ODD_ESCAPED}", "expiresAt": "${UINT256_MAX}",
  "nonce": "${UINT256_MAX}", "deadline": "${UINT256_MAX}"
}`);

await typed('validation-response-minimal', 'VALIDATION_RESPONSE', lower(167_000, BOB), BOB, String.raw`{
  "request": "${digestOf('validation-request-minimal')}", "response": 0, "nonce": 1, "deadline": 1800000000
}`);

await typed('validation-response-full', 'VALIDATION_RESPONSE', checksummed(1, CAROL), CAROL, String.raw`{
  "tag": "zkml", "responseHash": "${hashOf('what was found')}", "responseURI": "ipfs:\/\/bafyfound", "response": 100,
  "deadline": "1800000000", "nonce": "2", "request": "${digestOf('validation-request-full')}"
}`);

await typed('validation-response-extreme', 'VALIDATION_RESPONSE', checksummed(1313161554, ERIN), ERIN, String.raw`{
  "request": "0x${'A'.repeat(64)}", "response": 99, "responseURI": "${ODD_ESCAPED}",
  "responseHash": "0x${'0'.repeat(63)}B", "tag": "😀\u0022\u005c\u000A", "nonce": "${UINT256_MAX}",
  "deadline": "${UINT256_MAX}"
}`);

// Payments.

await typed('payment-link-minimal', 'PAYMENT_LINK', lower(167_000, ALICE), ALICE, String.raw`{
  "agentRegistry": "${TAIKO}", "agentId": 42, "txHash": "${hashOf('a payment')}", "amount": 1, "nonce": 1,
  "deadline": 1800000000
}`);

await typed('payment-link-full', 'PAYMENT_LINK', checksummed(1, BOB), BOB, String.raw`{
  "nonce": "2", "deadline": "1800000000", "endpoint": "https:\/\/agent.example.com\/paid", "amount": "1000000",
  "token": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "txHash": "${hashOf('another payment')}", "agentId": "22",
  "agentRegistry": "${MAINNET}"
}`);

await typed('payment-link-extreme', 'PAYMENT_LINK', checksummed(4503599627370449, CAROL), CAROL, String.raw`{
  "agentRegistry": "${FAR_AWAY}", "agentId": "${UINT256_MAX}", "txHash": "0x${'F'.repeat(64)}",
  "token": "0x${'F'.repeat(40)}", "amount": "${UINT256_MAX}", "endpoint": "${ODD_ESCAPED}", "nonce": "${UINT256_MAX}",
  "deadline": "${UINT256_MAX}"
}`);

// Manifests.

await text('manifest-minimal', 'MANIFEST', lower(167_000, ALICE), ALICE, {
  agentRegistry: TAIKO.toLowerCase(), agentId: 0, endpointUri: 'a', pubkey: 'b', nonce: 0, validFrom: 0, validUntil: 1,
});

await text('manifest-full', 'MANIFEST', checksummed(167_000, BOB), BOB, {
  agentRegistry: TAIKO, agentId: 42, endpointUri: 'https://agent.example.com/a2a?x=1&y=%20',
  pubkey: 'ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=', nonce: 9007199254740992, validFrom: 1769860800,
  validUntil: 1801396800,
});

await text('manifest-extreme', 'MANIFEST', checksummed(4503599627370449, CAROL), CAROL, {
  agentRegistry: FAR_AWAY, agentId: UINT256_MAX, endpointUri: ODD, pubkey: ODD, nonce: UINT256_MAX,
  validFrom: '9007199254740993', validUntil: UINT256_MAX,
});

await text('manifest-revocation-minimal', 'MANIFEST_REVOCATION', lower(167_000, ALICE), ALICE, {
  agentRegistry: TAIKO.toLowerCase(), agentId: 0, manifestHash: digestOf('manifest-minimal'), nonce: 1,
});

await text('manifest-revocation-full', 'MANIFEST_REVOCATION', checksummed(167_000, BOB), BOB, {
  agentRegistry: TAIKO, agentId: 42, manifestHash: digestOf('manifest-full'), nonce: '9007199254740993',
});

await text('manifest-revocation-extreme', 'MANIFEST_REVOCATION', checksummed(4503599627370449, CAROL), CAROL, {
  agentRegistry: FAR_AWAY, agentId: UINT256_MAX, manifestHash: digestOf('manifest-extreme'), nonce: UINT256_MAX,
});

// Receipts and reports.

await text('forward-receipt-minimal', 'FORWARD_RECEIPT', lower(167_000, ALICE), ALICE, {
  agentRegistry: TAIKO.toLowerCase(), rootTxHash: hashOf('root'), hop: 0, sourceAgentId: 0, destinationAgentId: 1,
  manifestHash: digestOf('manifest-minimal'), nextHopHash: ZERO_WORD, nonce: 0,
});

await text('forward-receipt-full', 'FORWARD_RECEIPT', checksummed(167_000, BOB), BOB, {
  agentRegistry: TAIKO, rootTxHash: hashOf('root'), hop: 3, sourceAgentId: 41, destinationAgentId: 42,
  manifestHash: digestOf('manifest-full'), nextHopHash: hashOf('next'), nonce: 4,
});

await text('forward-receipt-extreme', 'FORWARD_RECEIPT', checksummed(4503599627370449, CAROL), CAROL, {
  agentRegistry: FAR_AWAY, rootTxHash: `0x${'f'.repeat(64)}`, hop: 10, sourceAgentId: 9007199254740992,
  destinationAgentId: UINT256_MAX, manifestHash: ZERO_WORD, nextHopHash: `0x${'f'.repeat(64)}`, nonce: UINT256_MAX,
});

/** The receipt that closes a circle, with its signature, as a report brings it. */
async function closing(signer, account, receipt) {
  const receiptSignature = await account.signMessage({ message: canonicalize(receipt) });
  return { receipt, receiptSigner: signer, receiptSignature };
}

await text('cycle-report-minimal', 'CYCLE_REPORT', lower(167_000, DAVE), DAVE, {
  agentIds: [0], nonce: 0,
  ...(await closing(lower(167_000, ALICE), ALICE, {
    agentRegistry: TAIKO.toLowerCase(), rootTxHash: hashOf('root'), hop: 0, sourceAgentId: 0, destinationAgentId: 0,
    manifestHash: digestOf('manifest-minimal'), nextHopHash: ZERO_WORD, nonce: 1,
  })),
});

await text('cycle-report-full', 'CYCLE_REPORT', checksummed(167_000, DAVE), DAVE, {
  agentIds: [42, 7, 41], nonce: 5,
  ...(await closing(checksummed(167_000, BOB), BOB, {
    agentRegistry: TAIKO, rootTxHash: hashOf('root'), hop: 4, sourceAgentId: 41, destinationAgentId: 42,
    manifestHash: digestOf('manifest-full'), nextHopHash: hashOf('next'), nonce: 6,
  })),
});

await text('cycle-report-extreme', 'CYCLE_REPORT', checksummed(4503599627370449, ERIN), ERIN, {
  agentIds: [UINT256_MAX, 10, 9, 9007199254740992, '9007199254740993', 1, 2, 3, '18446744073709551616', 0, 100],
  nonce: UINT256_MAX,
  ...(await closing(checksummed(4503599627370449, CAROL), CAROL, {
    agentRegistry: FAR_AWAY, rootTxHash: `0x${'f'.repeat(64)}`, hop: 10, sourceAgentId: 100,
    destinationAgentId: UINT256_MAX, manifestHash: ZERO_WORD, nextHopHash: `0x${'f'.repeat(64)}`, nonce: UINT256_MAX,
  })),
});

await writeFile(join(import.meta.dirname, 'vectors.json'), `${JSON.stringify(vectors, null, 1)}\n`);
console.log(`${vectors.length} vectors`);
