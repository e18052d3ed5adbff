//! Feedback that is not on the chain (ERC-8004, "Off-Chain Feedback File Structure"), its new versions, and its end.

use alloy::primitives::{B256, I256};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::field::{Int, Uint, is_at_most, seconds};
use super::{Document, Kind, Scheme, Unreadable, canonical, wrong};
use crate::id::{AccountId, ChainId};

/// The longest tag and the longest entry of a list, in bytes.
const MAX_TAG_BYTES: usize = 256;
/// The longest endpoint, in bytes.
const MAX_ENDPOINT_BYTES: usize = 2_048;
/// The longest text, in bytes.
const MAX_TEXT_BYTES: usize = 32_768;
/// The longest list.
const MAX_LIST: usize = 100;
/// The most decimal places (the contract's limit).
const MAX_DECIMALS: u8 = 18;

const CONTENT: &str = "FeedbackContent(string agentRegistry,uint256 agentId,string clientAddress,string createdAt,\
    int128 value,uint8 valueDecimals,string tag1,string tag2,string endpoint,string text,Mcp mcp,A2a a2a,Oasf oasf,\
    ProofOfPayment proofOfPayment)";
const MCP: &str = "Mcp(string tool,string prompt,string resource)";
const A2A: &str = "A2a(string[] skills,string contextId,string taskId)";
const OASF: &str = "Oasf(string[] skills,string[] domains)";
const PROOF: &str = "ProofOfPayment(string fromAddress,string toAddress,string chainId,string txHash)";

/// What feedback says: the members of the standard's feedback file, and a text. What is left out is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Content {
    /// The identity registry that numbered the agent (CAIP-10).
    pub agent_registry: AccountId,
    /// The agent's number.
    pub agent_id: Uint,
    /// Who gives it: the signer (CAIP-10).
    pub client_address: AccountId,
    /// When it was given, in UTC (RFC 3339).
    pub created_at: String,
    /// The value, in units of 10^-`valueDecimals`; at most 1e38 either way.
    pub value: Int,
    /// Decimal places of the value, 0 to 18.
    pub value_decimals: u8,
    /// The first tag.
    #[serde(default)]
    pub tag1: String,
    /// The second tag.
    #[serde(default)]
    pub tag2: String,
    /// The endpoint that it is about.
    #[serde(default)]
    pub endpoint: String,
    /// What the client has to say, in words.
    #[serde(default)]
    pub text: String,
    /// What was used of an MCP server.
    #[serde(default)]
    pub mcp: Mcp,
    /// What was used of an A2A agent.
    #[serde(default)]
    pub a2a: A2a,
    /// What of the Open Agentic Schema Framework it is about.
    #[serde(default)]
    pub oasf: Oasf,
    /// The payment for the service.
    #[serde(default)]
    pub proof_of_payment: ProofOfPayment,
}

/// A capability of an MCP server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mcp {
    /// The tool's name.
    pub tool: String,
    /// The prompt's name.
    pub prompt: String,
    /// The resource's name.
    pub resource: String,
}

/// A task of an A2A agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct A2a {
    /// The skills that were used.
    pub skills: Vec<String>,
    /// The conversation.
    pub context_id: String,
    /// The task.
    pub task_id: String,
}

/// Skills and domains by the Open Agentic Schema Framework.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Oasf {
    /// The skills.
    pub skills: Vec<String>,
    /// The domains.
    pub domains: Vec<String>,
}

/// A payment, as the standard's file names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ProofOfPayment {
    /// Who paid.
    pub from_address: String,
    /// Who was paid.
    pub to_address: String,
    /// On which chain.
    pub chain_id: String,
    /// In which transaction.
    pub tx_hash: String,
}

impl Content {
    fn check(&self) -> Result<(), Unreadable> {
        if self.agent_registry.chain_id != self.client_address.chain_id {
            return Err(wrong("clientAddress", "on the chain of agentRegistry"));
        }
        seconds(&self.created_at)
            .filter(|_| is_at_most(&self.created_at, 40))
            .ok_or_else(|| wrong("createdAt", "a time in UTC, such as 2026-01-31T12:00:00Z"))?;
        let most = I256::try_from(10_u128.pow(38)).unwrap_or(I256::MAX);
        if self.value.0 > most || self.value.0 < -most {
            return Err(wrong("value", "between -1e38 and 1e38"));
        }
        if self.value_decimals > MAX_DECIMALS {
            return Err(wrong("valueDecimals", "from 0 to 18"));
        }
        for (name, text, bytes) in [
            ("tag1", &self.tag1, MAX_TAG_BYTES),
            ("tag2", &self.tag2, MAX_TAG_BYTES),
            ("endpoint", &self.endpoint, MAX_ENDPOINT_BYTES),
            ("text", &self.text, MAX_TEXT_BYTES),
            ("mcp.tool", &self.mcp.tool, MAX_TAG_BYTES),
            ("mcp.prompt", &self.mcp.prompt, MAX_TAG_BYTES),
            ("mcp.resource", &self.mcp.resource, MAX_ENDPOINT_BYTES),
            ("a2a.contextId", &self.a2a.context_id, MAX_TAG_BYTES),
            ("a2a.taskId", &self.a2a.task_id, MAX_TAG_BYTES),
            ("proofOfPayment.fromAddress", &self.proof_of_payment.from_address, MAX_TAG_BYTES),
            ("proofOfPayment.toAddress", &self.proof_of_payment.to_address, MAX_TAG_BYTES),
            ("proofOfPayment.chainId", &self.proof_of_payment.chain_id, MAX_TAG_BYTES),
            ("proofOfPayment.txHash", &self.proof_of_payment.tx_hash, MAX_TAG_BYTES),
        ] {
            if !is_at_most(text, bytes) {
                return Err(wrong(name, &format!("at most {bytes} bytes long")));
            }
        }
        for (name, list) in
            [("a2a.skills", &self.a2a.skills), ("oasf.skills", &self.oasf.skills), ("oasf.domains", &self.oasf.domains)]
        {
            if list.len() > MAX_LIST || list.iter().any(|entry| entry.is_empty() || !is_at_most(entry, MAX_TAG_BYTES)) {
                return Err(wrong(name, "at most 100 texts of 1 to 256 bytes"));
            }
        }
        Ok(())
    }

    /// When it was given, in seconds since 1970.
    #[must_use]
    pub fn created_at_seconds(&self) -> i64 {
        seconds(&self.created_at).unwrap_or_default()
    }

    /// The standard's feedback file: canonical JSON without what is empty. Whoever has the document can write the same file,
    /// and so put its hash on the chain before it is handed in here.
    ///
    /// # Errors
    /// Never for content that was read.
    pub fn file(&self) -> Result<String, Unreadable> {
        let mut file = json!({
            "agentRegistry": self.agent_registry,
            "agentId": self.agent_id,
            "clientAddress": self.client_address,
            "createdAt": self.created_at,
            "value": self.value,
            "valueDecimals": self.value_decimals,
            "tag1": self.tag1,
            "tag2": self.tag2,
            "endpoint": self.endpoint,
            "text": self.text,
            "mcp": said(&json!(self.mcp)),
            "a2a": said(&json!(self.a2a)),
            "oasf": said(&json!(self.oasf)),
            "proofOfPayment": said(&json!(self.proof_of_payment)),
        });
        file = said(&file);
        canonical(&file)
    }
}

/// An object without its empty members.
fn said(object: &Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    let members = object.as_object().into_iter().flatten();
    let members = members.filter(|(_, value)| !is_empty(value)).map(|(name, value)| (name.clone(), value.clone()));
    Value::Object(members.collect::<Map<_, _>>())
}

/// Feedback, given for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// What it says.
    pub feedback: Content,
    /// Used once by the signer.
    pub nonce: Uint,
    /// Until when it may be handed in.
    pub deadline: Uint,
}

impl Document for Feedback {
    const KIND: Kind = Kind::Feedback;
    const SCHEME: Scheme = Scheme::Typed {
        primary: "Feedback",
        types: &["Feedback(FeedbackContent feedback,uint256 nonce,uint256 deadline)", CONTENT, MCP, A2A, OASF, PROOF],
    };

    fn check(&self) -> Result<(), Unreadable> {
        self.feedback.check()
    }

    fn chain_id(&self) -> Option<ChainId> {
        Some(self.feedback.agent_registry.chain_id)
    }

    fn nonce(&self) -> &Uint {
        &self.nonce
    }

    fn deadline(&self) -> Option<&Uint> {
        Some(&self.deadline)
    }
}

/// A new version of feedback. The versions before it are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedbackRevision {
    /// The digest of the feedback as it was given first.
    pub revises: B256,
    /// What it says now: about the same agent.
    pub feedback: Content,
    /// Used once by the signer.
    pub nonce: Uint,
    /// Until when it may be handed in.
    pub deadline: Uint,
}

impl Document for FeedbackRevision {
    const KIND: Kind = Kind::FeedbackRevision;
    const SCHEME: Scheme = Scheme::Typed {
        primary: "FeedbackRevision",
        types: &[
            "FeedbackRevision(bytes32 revises,FeedbackContent feedback,uint256 nonce,uint256 deadline)",
            CONTENT,
            MCP,
            A2A,
            OASF,
            PROOF,
        ],
    };

    fn check(&self) -> Result<(), Unreadable> {
        self.feedback.check()
    }

    fn chain_id(&self) -> Option<ChainId> {
        Some(self.feedback.agent_registry.chain_id)
    }

    fn nonce(&self) -> &Uint {
        &self.nonce
    }

    fn deadline(&self) -> Option<&Uint> {
        Some(&self.deadline)
    }
}

/// The end of feedback: it is kept, and counts no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedbackRevocation {
    /// The digest of the feedback as it was given first.
    pub revokes: B256,
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
    /// Used once by the signer.
    pub nonce: Uint,
    /// Until when it may be handed in.
    pub deadline: Uint,
}

impl Document for FeedbackRevocation {
    const KIND: Kind = Kind::FeedbackRevocation;
    const SCHEME: Scheme = Scheme::Typed {
        primary: "FeedbackRevocation",
        types: &["FeedbackRevocation(bytes32 revokes,string reason,uint256 nonce,uint256 deadline)"],
    };

    fn check(&self) -> Result<(), Unreadable> {
        if is_at_most(&self.reason, MAX_ENDPOINT_BYTES) {
            Ok(())
        } else {
            Err(wrong("reason", "at most 2048 bytes long"))
        }
    }

    fn chain_id(&self) -> Option<ChainId> {
        None
    }

    fn nonce(&self) -> &Uint {
        &self.nonce
    }

    fn deadline(&self) -> Option<&Uint> {
        Some(&self.deadline)
    }
}
