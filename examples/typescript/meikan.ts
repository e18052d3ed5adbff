// A small client of a Meikan node: asks it GraphQL, and signs documents and hands them in.
//
// What is signed is made here, from the document alone, and only then compared with what the node says
// (`signingPayload`): whoever signs what a server shows them signs what the server wants.

import { hashMessage, hashTypedData, keccak256, sha256, stringToBytes } from 'viem';
import type { Hex, HDAccount } from 'viem';

/** An object of JSON. */
export type Json = Record<string, any>;

/** A signed document, as every mutation takes it. */
export type Signed = { document: string; signer: string; signature: Hex };

/** The kinds of documents: the mutation that takes each, and the fields of the record that are asked back. */
const KINDS = {
  FEEDBACK: ['submitFeedback', 'id digest version value isRevoked cid fileHash fileURI'],
  FEEDBACK_REVISION: ['reviseFeedback', 'id digest version value isRevoked'],
  FEEDBACK_REVOCATION: ['revokeFeedback', 'id version isRevoked'],
  AGENT_CARD: ['publishAgentCard', 'id version name url cardHash isAuthorized'],
  VALIDATION_REQUEST: ['requestValidation', 'id digest status validator'],
  VALIDATION_RESPONSE: ['respondValidation', 'id status response answers tag'],
  MANIFEST: ['publishManifest', 'id hash status endpointUri isCurrent'],
  MANIFEST_REVOCATION: ['revokeManifest', 'id hash status'],
  FORWARD_RECEIPT: ['recordForward', 'id hash hop sourceAgentId destinationAgentId'],
  CYCLE_REPORT: ['reportCycle', 'id hash depth agents'],
  PAYMENT_LINK: ['linkPayment', 'id digest status means payer amount'],
} as const;

export type Kind = keyof typeof KINDS;

/** The types of EIP-712, by kind; a kind without any is signed as text (EIP-191). */
const FEEDBACK_CONTENT = {
  FeedbackContent:
    'string agentRegistry,uint256 agentId,string clientAddress,string createdAt,int128 value,uint8 valueDecimals,' +
    'string tag1,string tag2,string endpoint,string text,Mcp mcp,A2a a2a,Oasf oasf,ProofOfPayment proofOfPayment',
  Mcp: 'string tool,string prompt,string resource',
  A2a: 'string[] skills,string contextId,string taskId',
  Oasf: 'string[] skills,string[] domains',
  ProofOfPayment: 'string fromAddress,string toAddress,string chainId,string txHash',
};
const TYPES: Partial<Record<Kind, Record<string, string>>> = {
  FEEDBACK: { Feedback: 'FeedbackContent feedback,uint256 nonce,uint256 deadline', ...FEEDBACK_CONTENT },
  FEEDBACK_REVISION: {
    FeedbackRevision: 'bytes32 revises,FeedbackContent feedback,uint256 nonce,uint256 deadline',
    ...FEEDBACK_CONTENT,
  },
  FEEDBACK_REVOCATION: { FeedbackRevocation: 'bytes32 revokes,string reason,uint256 nonce,uint256 deadline' },
  AGENT_CARD: { AgentCard: 'string agentRegistry,uint256 agentId,bytes32 cardHash,uint256 nonce,uint256 deadline' },
  VALIDATION_REQUEST: {
    ValidationRequest:
      'string agentRegistry,uint256 agentId,address validator,bytes32 dataHash,string dataURI,uint256 expiresAt,' +
      'uint256 nonce,uint256 deadline',
  },
  VALIDATION_RESPONSE: {
    ValidationResponse:
      'bytes32 request,uint8 response,string responseURI,bytes32 responseHash,string tag,' +
      'uint256 nonce,uint256 deadline',
  },
  PAYMENT_LINK: {
    PaymentLink:
      'string agentRegistry,uint256 agentId,bytes32 txHash,address token,uint256 amount,string endpoint,' +
      'uint256 nonce,uint256 deadline',
  },
};

/** An answer of the node that is an error, with its code. */
export class Refused extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

export class Meikan {
  readonly url: string;
  readonly chainId: number;

  constructor(url: string, chainId: number) {
    this.url = url;
    this.chainId = chainId;
  }

  /** Signs a document and hands it in; returns the record. */
  async handIn(kind: Kind, document: Json, signer: HDAccount): Promise<Json> {
    return this.submit(kind, await this.sign(kind, document, signer));
  }

  /** Signs a document, once the node agrees about what that means. Returns what its mutation takes. */
  async sign(kind: Kind, document: Json, signer: HDAccount): Promise<Signed> {
    const text = canonical(document);
    const typedData = typedDataOf(kind, this.chainId, document);
    const hash = typedData ? hashTypedData(typedData) : hashMessage(text);
    const payload = await this.signingPayload(kind, text);
    if (payload.hash !== hash) throw new Error(`the node would have ${payload.hash} signed, and this is ${hash}`);
    const signature = typedData ? await signer.signTypedData(typedData) : await signer.signMessage({ message: text });
    return { document: text, signer: `eip155:${this.chainId}:${signer.address}`, signature };
  }

  /** Hands in what is signed. Whoever does not know whether a try arrived may call it again with the same. */
  async submit(kind: Kind, signed: Signed): Promise<Json> {
    const [mutation, fields] = KINDS[kind];
    const answer = await this.ask(
      `mutation ($document: String!, $signer: String!, $signature: Bytes!) {
        ${mutation}(document: $document, signer: $signer, signature: $signature) { ${fields} }
      }`,
      signed,
    );
    return answer[mutation];
  }

  /** What the node says is to be signed of a document. */
  async signingPayload(kind: Kind, document: string): Promise<Json> {
    const query = `query ($kind: DocumentKind!, $document: String!, $chainId: Int) {
      signingPayload(kind: $kind, document: $document, chainId: $chainId) { digest hash typedData text }
    }`;
    return (await this.ask(query, { kind, document, chainId: this.chainId })).signingPayload;
  }

  /** Any query or mutation. */
  async ask(query: string, variables: Json = {}): Promise<Json> {
    const response = await fetch(new URL('/graphql', this.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as Json;
    if (errors) throw new Refused(errors[0].extensions?.code, errors[0].message);
    return data;
  }

  /** A file that a document made, by its content identifier. The identifier is the proof: another file has another. */
  async file(cid: string): Promise<string> {
    const response = await fetch(new URL(`/files/${cid}`, this.url));
    const text = await response.text();
    if (!response.ok || cidOf(text) !== cid) throw new Error(`/files/${cid} is not that file`);
    return text;
  }
}

/** The canonical form of JSON (RFC 8785): the members sorted, no spaces. JavaScript writes all else as it asks. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner) => {
    const isObject = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
    return isObject ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner;
  });
}

export function keccakOf(text: string): Hex {
  return keccak256(stringToBytes(text));
}

/** The content identifier of a file: CIDv1, raw, SHA-256, in base 32. */
export function cidOf(file: string): string {
  const prefix = [0x01, 0x55, 0x12, 0x20];
  const bits = [...prefix, ...sha256(stringToBytes(file), 'bytes')].map((byte) => byte.toString(2).padStart(8, '0'));
  const groups = bits.join('').match(/.{1,5}/g) ?? [];
  return `b${groups.map((group) => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(group.padEnd(5, '0'), 2)]).join('')}`;
}

/** What `eth_signTypedData_v4` takes; nothing for a kind that is signed as text. */
function typedDataOf(kind: Kind, chainId: number, document: Json) {
  const members = TYPES[kind];
  if (!members) return undefined;
  const types = Object.fromEntries(Object.entries(members).map(([name, list]) => [name, list.split(',').map(member)]));
  const [primaryType] = Object.keys(types);
  // Of a card only the hash of its canonical form is signed.
  const said = document.card ? { ...document, cardHash: keccakOf(canonical(document.card)) } : document;
  const message = written(primaryType, said, types);
  return { domain: { name: 'Meikan', version: '1', chainId }, types, primaryType, message };
}

type Member = { type: string; name: string };

function member(text: string): Member {
  const [type, name] = text.split(' ');
  return { type, name };
}

/** A value with every member of its type: those that a document leaves out are signed as empty. */
function written(type: string, value: any, types: Record<string, Member[]>): any {
  if (types[type]) {
    return Object.fromEntries(types[type].map((one) => [one.name, written(one.type, value?.[one.name], types)]));
  }
  if (value !== undefined) return value;
  if (type.endsWith('[]')) return [];
  const digits: Record<string, number> = { address: 40, bytes32: 64 };
  return type in digits ? `0x${'0'.repeat(digits[type])}` : '';
}
