// Hands in a document of each kind to a running demo, reads back what came of each, and ends with an error at the first
// thing that is not as it should be.

import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { createPublicClient, createWalletClient, http, parseAbi, parseEventLogs } from 'viem';
import type { Hex, HDAccount } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { Meikan, Refused, canonical, keccakOf } from './meikan.ts';
import type { Json, Kind, Signed } from './meikan.ts';

/** The demo's chain. Everybody knows its mnemonic, so nothing that these accounts sign is worth anything elsewhere. */
const CHAIN_ID = 31337;
const MNEMONIC = 'test test test test test test test test test test test junk';
/** Owners of an agent each, a client and a validator. The demo's traffic gives no agents to these four. */
const [ALICE, BOB, CAROL, DAVE] = [0, 1, 2, 3].map((addressIndex) => mnemonicToAccount(MNEMONIC, { addressIndex }));

const IDENTITY_ABI = parseAbi([
  'function register() returns (uint256 agentId)',
  'event Registered(uint256 indexed agentId, string agentURI, address indexed owner)',
]);

const HOUR_SECONDS = 3600;
const NO_HASH = `0x${'0'.repeat(64)}`;

/** An agent of ours, and the transaction that registered it. */
type Agent = { registry: string; agentId: number; id: string; owner: HDAccount; transaction: Hex };

const { url, rpc } = parseArgs({
  options: { url: { type: 'string', default: 'http://127.0.0.1:8004' }, rpc: { type: 'string' } },
}).values;
const meikan = new Meikan(url, CHAIN_ID);

async function main() {
  const registry = await findRegistry();
  const front = await registerAgent(registry, ALICE);
  const translator = await registerAgent(registry, BOB);

  await feedback(front);
  await agentCard(front);
  await validation(front);
  await manifests(front);
  await forward(front, translator);
  await payment(front);
  console.log('All is as it should be.');
}

/** The identity registry of the demo's network, as the node has it. */
async function findRegistry(): Promise<Hex> {
  const { networks, protocols } = await meikan.ask(
    '{ networks { chainId name } protocols(first: 1000) { id identityRegistry } }',
  );
  const network = networks.find((one: Json) => one.chainId === CHAIN_ID);
  const protocol = protocols.find((one: Json) => one.id === String(CHAIN_ID));
  if (!network || !protocol) throw new Error(`the node at ${url} does not follow the demo's chain ${CHAIN_ID}`);
  say('network', `${network.name}, chain ${CHAIN_ID}, identity registry ${protocol.identityRegistry}`);
  return protocol.identityRegistry;
}

/** Registers an agent on the chain, and waits until the node has that block. */
async function registerAgent(registry: Hex, owner: HDAccount): Promise<Agent> {
  if (!rpc) throw new Error('--rpc is missing: the demo prints it ("The chain is at http://...")');
  const transport = http(rpc);
  // The chain itself signs for this account (it holds its key), so that the demo's traffic, which uses the account too,
  // cannot take the transaction's number.
  const wallet = createWalletClient({ account: owner.address, transport });
  const transaction = await wallet.writeContract({
    chain: null, address: registry, abi: IDENTITY_ABI, functionName: 'register',
  });
  const chain = createPublicClient({ transport, pollingInterval: 200 });
  const { logs, blockNumber } = await chain.waitForTransactionReceipt({ hash: transaction, timeout: 30_000 });
  const [registered] = parseEventLogs({ abi: IDENTITY_ABI, eventName: 'Registered', logs });
  const agentId = Number(registered.args.agentId);
  const { agent } = await meikan.ask(
    'query ($id: ID!, $block: Int!) { agent(id: $id, block: { number_gte: $block }) { id owner } }',
    { id: `${CHAIN_ID}:${agentId}`, block: Number(blockNumber) },
  );
  expect('the owner of the new agent', agent?.owner, owner.address.toLowerCase());
  say('agent', `${agent.id} of ${owner.address}, registered in block ${blockNumber}`);
  return { registry: `eip155:${CHAIN_ID}:${registry}`, agentId, id: agent.id, owner, transaction };
}

/** Feedback by a client: given, given once more, forged, revised, revoked. */
async function feedback(agent: Agent) {
  const content = feedbackContent(agent, 87);
  const document = { feedback: content, ...typedOnce() };
  const signed = await meikan.sign('FEEDBACK', document, CAROL);
  const given = await meikan.submit('FEEDBACK', signed);
  expect('the version', given.version, 1);
  say('feedback', `${given.id} with the value ${given.value}`);

  await feedbackFile(content, given);
  expect('the record of the same document again', await meikan.submit('FEEDBACK', signed), given);
  say('feedback', 'the same document again gives the same record');
  await verification('FEEDBACK', signed);
  await forgery(document, signed);

  const revision = { revises: given.digest, feedback: feedbackContent(agent, 93), ...typedOnce() };
  const revised = await meikan.handIn('FEEDBACK_REVISION', revision, CAROL);
  expect('the revised feedback', [revised.id, revised.version, revised.value], [given.id, 2, '93']);
  say('revision', `version ${revised.version} with the value ${revised.value}`);

  const revocation = { revokes: given.digest, reason: 'It was another agent.', ...typedOnce() };
  const revoked = await meikan.handIn('FEEDBACK_REVOCATION', revocation, CAROL);
  expect('the revoked feedback', [revoked.id, revoked.isRevoked], [given.id, true]);
  say('revocation', `${revoked.id} is revoked`);
}

function feedbackContent(agent: Agent, value: number): Json {
  return {
    ...agentOf(agent),
    clientAddress: `eip155:${CHAIN_ID}:${CAROL.address}`,
    createdAt: new Date().toISOString(),
    value, valueDecimals: 0, tag1: 'starred', text: 'Prompt.', mcp: { tool: 'search' },
  };
}

/** The file of the standard, which `giveFeedback` names on the chain by its URI and its hash. */
async function feedbackFile(content: Json, given: Json) {
  const file = await meikan.file(given.cid);
  expect('the feedback file', file, canonical(content));
  expect('its hash', keccakOf(file), given.fileHash);
  expect('its URI', given.fileURI, `ipfs://${given.cid}`);
  say('file', `/files/${given.cid} has that SHA-256, and the Keccak-256 ${given.fileHash}`);
}

/** Anybody can ask whether somebody signed a document. */
async function verification(kind: Kind, signed: Signed) {
  const { verifySignature } = await meikan.ask(
    `query ($kind: DocumentKind!, $document: String!, $signer: String!, $signature: Bytes!) {
      verifySignature(kind: $kind, document: $document, signer: $signer, signature: $signature) {
        valid method reason
      }
    }`,
    { kind, ...signed },
  );
  expect('the check', verifySignature, { valid: true, method: 'KEY', reason: null });
  say('verifySignature', 'valid, by the key');
}

/** Another document with the signature of the first one. */
async function forgery(document: Json, signed: Signed) {
  const forged = { ...signed, document: canonical({ ...document, ...typedOnce() }) };
  await expectRefusal('INVALID_SIGNATURE', () => meikan.submit('FEEDBACK', forged));
}

/** What an agent says of itself, in the words of A2A. */
async function agentCard(agent: Agent) {
  const card = {
    name: 'Front', description: 'Takes questions and passes them on.', version: '1.0.0',
    supportedInterfaces: [
      { url: 'https://front.example/a2a', protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
    ],
    capabilities: { streaming: true },
    defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'],
    skills: [{ id: 'ask', name: 'Ask', description: 'Answers a question.', tags: ['questions'] }],
  };
  const published = await meikan.handIn('AGENT_CARD', { ...agentOf(agent), card, ...typedOnce() }, agent.owner);
  expect('the hash of the card', published.cardHash, keccakOf(canonical(card)));
  expect('whether its signer speaks for the agent', published.isAuthorized, true);
  say('card', `version ${published.version} of ${published.id}: ${published.name} at ${published.url}`);
}

/** A request to a validator, and the validator's answer. */
async function validation(agent: Agent) {
  const request = {
    ...agentOf(agent),
    validator: DAVE.address,
    dataHash: keccakOf('what is to be validated'),
    dataURI: 'https://front.example/results/1',
    expiresAt: nowSeconds() + 24 * HOUR_SECONDS,
    ...typedOnce(),
  };
  const requested = await meikan.handIn('VALIDATION_REQUEST', request, agent.owner);
  expect('the request', [requested.status, requested.validator], ['PENDING', DAVE.address.toLowerCase()]);
  say('validation', `${requested.id} is ${requested.status}`);

  const response = { request: requested.digest, response: 90, tag: 'rerun', ...typedOnce() };
  const responded = await meikan.handIn('VALIDATION_RESPONSE', response, DAVE);
  expect('the answer', [responded.id, responded.status, responded.response], [requested.id, 'COMPLETED', 90]);
  say('validation', `${responded.id} is ${responded.status} with ${responded.response} of 100`);
}

/** Two manifests: the agent moves, which is told as a flip. Then the end of the second one. */
async function manifests(agent: Agent) {
  await publishManifest(agent, 'https://front.example');
  const moved = await publishManifest(agent, 'https://front-2.example');
  const { manifestFlips } = await meikan.ask(
    `query ($digest: Bytes!) {
      manifestFlips(where: { source: SIGNED, digest: $digest }) { endpoint previousEndpoint suspicionScore }
    }`,
    { digest: moved.hash },
  );
  expect('the number of flips', manifestFlips.length, 1);
  const [{ endpoint, previousEndpoint, suspicionScore }] = manifestFlips;
  expect('the flip', [previousEndpoint, endpoint], ['https://front.example', 'https://front-2.example']);
  say('flip', `from ${previousEndpoint} to ${endpoint}, suspicion ${suspicionScore}`);

  const revocation = { ...agentOf(agent), manifestHash: moved.hash, nonce: randomNonce() };
  const revoked = await meikan.handIn('MANIFEST_REVOCATION', revocation, agent.owner);
  expect('the manifest', [revoked.id, revoked.status], [moved.id, 'REVOKED']);
  say('manifest', `${revoked.id} is ${revoked.status}`);
}

async function publishManifest(agent: Agent, endpointUri: string): Promise<Json> {
  const manifest = {
    ...agentOf(agent),
    endpointUri,
    pubkey: `ed25519:${'ab'.repeat(32)}`,
    // A minute ago, for clocks that differ.
    validFrom: nowSeconds() - 60,
    validUntil: nowSeconds() + 12 * HOUR_SECONDS,
    // A manifest's nonce must be higher than those before: the milliseconds are.
    nonce: Date.now(),
  };
  const published = await meikan.handIn('MANIFEST', manifest, agent.owner);
  expect('the manifest', [published.status, published.isCurrent], ['ACTIVE', true]);
  say('manifest', `${published.id}: ${published.endpointUri} is ${published.status}`);
  return published;
}

/** A request that goes from one agent to another: may it, it did, and it must not come back. */
async function forward(source: Agent, destination: Agent) {
  const there = await publishManifest(destination, 'https://translator.example');
  const back = await publishManifest(source, 'https://front.example');
  const path = source.transaction;
  expect('whether it may go there', await outcome(there.hash, path, source), 'OK');

  const receipt = receiptOf(path, 0, source, destination, there.hash);
  const recorded = await meikan.handIn('FORWARD_RECEIPT', receipt, destination.owner);
  expect('the hop', recorded.hop, 0);
  say('receipt', `${recorded.id}: ${source.id} passed a request on to ${destination.id}`);

  expect('whether it may come back', await outcome(back.hash, path, destination), 'CYCLE_DETECTED');
  const circular = receiptOf(path, 1, destination, source, back.hash);
  const closing = await meikan.sign('FORWARD_RECEIPT', circular, source.owner);
  await expectRefusal('CIRCULAR_DEPENDENCY', () => meikan.submit('FORWARD_RECEIPT', closing));
  await circle([source, destination], closing);
}

/** Whoever holds the receipt that closes a circle can report it; then its agents are not trusted any more. */
async function circle(agents: Agent[], closing: Signed) {
  const report = {
    agentIds: agents.map((agent) => agent.agentId),
    receipt: JSON.parse(closing.document),
    receiptSigner: closing.signer,
    receiptSignature: closing.signature,
    nonce: randomNonce(),
  };
  const reported = await meikan.handIn('CYCLE_REPORT', report, CAROL);
  expect('the circle', [reported.depth, reported.agents], [2, agents.map((agent) => agent.id)]);
  const { agentReputation } = await meikan.ask('query ($id: ID!) { agentReputation(id: $id) { trustLevel } }', {
    id: agents[0].id,
  });
  expect('the trust in its agents', agentReputation.trustLevel, 'UNTRUSTED');
  say('circle', `${reported.agents.join(' → ')} are ${agentReputation.trustLevel}`);
}

/** A client pays the agent's wallet of the chain's own coin, and says so. */
async function payment(agent: Agent) {
  const transport = http(rpc);
  const wallet = createWalletClient({ account: CAROL.address, transport });
  const amount = 1_000n;
  // A new agent's wallet is its owner.
  const transaction = await wallet.sendTransaction({ chain: null, to: agent.owner.address, value: amount });
  await minedAndIndexed(transaction, agent);
  const link = { ...agentOf(agent), txHash: transaction, amount: Number(amount), ...typedOnce() };
  const linked = await meikan.handIn('PAYMENT_LINK', link, CAROL);
  const told = [linked.status, linked.means, linked.payer, linked.amount];
  expect('the payment', told, ['CONFIRMED', 'COIN', CAROL.address.toLowerCase(), String(amount)]);
  say('payment', `${linked.id} of ${linked.amount} wei is ${linked.status}`);
  await expectRefusal('CONFLICT', () => meikan.handIn('PAYMENT_LINK', { ...link, ...typedOnce() }, CAROL));
}

/** Waits until a transaction is in a block, and the node has that block. */
async function minedAndIndexed(transaction: Hex, agent: Agent) {
  const chain = createPublicClient({ transport: http(rpc), pollingInterval: 200 });
  const { blockNumber } = await chain.waitForTransactionReceipt({ hash: transaction, timeout: 30_000 });
  const query = 'query ($id: ID!, $block: Int!) { agent(id: $id, block: { number_gte: $block }) { id } }';
  await meikan.ask(query, { id: agent.id, block: Number(blockNumber) });
}

/**
 * That the destination took over a request, which the destination's owner signs. A path is named by the transaction
 * that it begins with.
 */
function receiptOf(path: Hex, hop: number, source: Agent, destination: Agent, manifestHash: Hex): Json {
  return {
    agentRegistry: source.registry,
    rootTxHash: path,
    hop,
    sourceAgentId: source.agentId,
    destinationAgentId: destination.agentId,
    manifestHash,
    nextHopHash: NO_HASH,
    nonce: randomNonce(),
  };
}

async function outcome(manifestHash: Hex, path: Hex, source: Agent): Promise<string> {
  const { verifyForward } = await meikan.ask(
    `query ($manifestHash: Bytes!, $rootTxHash: Bytes!, $source: ID!) {
      verifyForward(manifestHash: $manifestHash, rootTxHash: $rootTxHash, source: $source) { outcome }
    }`,
    { manifestHash, rootTxHash: path, source: source.id },
  );
  say('verifyForward', `from ${source.id}: ${verifyForward.outcome}`);
  return verifyForward.outcome;
}

/** How documents name an agent. */
function agentOf(agent: Agent): Json {
  return { agentRegistry: agent.registry, agentId: agent.agentId };
}

/** What makes a typed document one that can be handed in once, and only for some minutes. */
function typedOnce(): Json {
  return { nonce: randomNonce(), deadline: nowSeconds() + 600 };
}

/** 63 random bits behind a one, as a string: what is beyond 2^53 must be one, and what is not must not. */
function randomNonce(): string {
  return (randomBytes(8).readBigUInt64BE() | (1n << 63n)).toString();
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

async function expectRefusal(code: string, attempt: () => Promise<unknown>) {
  const answer = await attempt().catch((error) => error);
  if (!(answer instanceof Refused)) throw answer instanceof Error ? answer : new Error(`this is not refused: ${code}`);
  expect('the refusal', answer.code, code);
  say('refused', answer.message);
}

function expect(what: string, found: unknown, wanted: unknown) {
  if (isDeepStrictEqual(found, wanted)) return;
  throw new Error(`${what} is ${JSON.stringify(found)}, and should be ${JSON.stringify(wanted)}`);
}

function say(step: string, outcome: string) {
  console.log(`${step.padEnd(16)}${outcome}`);
}

main().catch((error) => {
  // Where there is no connection, only the cause tells why.
  console.error(`FAILED: ${error.cause?.message ?? error.message}`);
  process.exitCode = 1;
});
