//! Agent cards: what an agent says of itself (A2A).

use alloy::primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::field::Uint;
use super::{Document, Kind, Scheme, Unreadable, canonical, wrong};
use crate::id::{AccountId, ChainId};

/// The version of A2A whose cards are taken.
pub const CARD_VERSION: &str = "1.0";

/// The most interfaces, and the most skills.
const MAX_LIST: usize = 200;
/// The longest text of a card that is not a description, in bytes.
const MAX_NAME_BYTES: usize = 512;
/// The longest URL, in bytes.
const MAX_URL_BYTES: usize = 2_048;

/// A card, published by the agent's owner or its wallet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentCard {
    /// The identity registry that numbered the agent (CAIP-10).
    pub agent_registry: AccountId,
    /// The agent's number.
    pub agent_id: Uint,
    /// The card, as A2A describes it. Members that A2A does not know are kept.
    pub card: Map<String, Value>,
    /// Used once by the signer.
    pub nonce: Uint,
    /// Until when it may be handed in.
    pub deadline: Uint,
}

impl AgentCard {
    /// The card's canonical form, which is served.
    ///
    /// # Errors
    /// Never for a card that was read.
    pub fn file(&self) -> Result<String, Unreadable> {
        canonical(&self.card)
    }

    /// One of the card's texts that A2A requires.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.card.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The first interface's URL, which A2A prefers.
    #[must_use]
    pub fn url(&self) -> &str {
        let first = self.card.get("supportedInterfaces").and_then(|list| list.get(0));
        first.and_then(|first| first.get("url")).and_then(Value::as_str).unwrap_or_default()
    }

    /// Keccak-256 of that form: what is signed in the card's place.
    #[must_use]
    pub fn card_hash(&self) -> B256 {
        keccak256(self.file().unwrap_or_default())
    }
}

impl Document for AgentCard {
    const KIND: Kind = Kind::AgentCard;
    const SCHEME: Scheme = Scheme::Typed {
        primary: "AgentCard",
        types: &["AgentCard(string agentRegistry,uint256 agentId,bytes32 cardHash,uint256 nonce,uint256 deadline)"],
    };

    /// The members that A2A 1.0 requires, and URLs that are some.
    fn check(&self) -> Result<(), Unreadable> {
        let card = &self.card;
        for name in ["name", "description", "version"] {
            text(card, "card", name, MAX_URL_BYTES)?;
        }
        for interface in objects(card, "card", "supportedInterfaces")? {
            let within = "card.supportedInterfaces[]";
            url(interface, within, "url")?;
            text(interface, within, "protocolBinding", MAX_NAME_BYTES)?;
            text(interface, within, "protocolVersion", MAX_NAME_BYTES)?;
        }
        if !card.get("capabilities").is_some_and(Value::is_object) {
            return Err(wrong("card.capabilities", "an object"));
        }
        for name in ["defaultInputModes", "defaultOutputModes"] {
            texts(card, "card", name)?;
        }
        for skill in objects(card, "card", "skills")? {
            for name in ["id", "name", "description"] {
                text(skill, "card.skills[]", name, MAX_URL_BYTES)?;
            }
            texts(skill, "card.skills[]", "tags")?;
        }
        for name in ["documentationUrl", "iconUrl"] {
            if card.contains_key(name) {
                url(card, "card", name)?;
            }
        }
        if let Some(provider) = card.get("provider") {
            let provider = provider.as_object().ok_or_else(|| wrong("card.provider", "an object"))?;
            url(provider, "card.provider", "url")?;
            text(provider, "card.provider", "organization", MAX_NAME_BYTES)?;
        }
        Ok(())
    }

    fn chain_id(&self) -> Option<ChainId> {
        Some(self.agent_registry.chain_id)
    }

    fn nonce(&self) -> &Uint {
        &self.nonce
    }

    fn deadline(&self) -> Option<&Uint> {
        Some(&self.deadline)
    }

    fn message(&self) -> Value {
        json!({
            "agentRegistry": self.agent_registry,
            "agentId": self.agent_id,
            "cardHash": self.card_hash(),
            "nonce": self.nonce,
            "deadline": self.deadline,
        })
    }
}

fn text<'a>(object: &'a Map<String, Value>, within: &str, name: &str, bytes: usize) -> Result<&'a str, Unreadable> {
    object
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty() && text.len() <= bytes)
        .ok_or_else(|| wrong(&format!("{within}.{name}"), &format!("a text of 1 to {bytes} bytes")))
}

fn url(object: &Map<String, Value>, within: &str, name: &str) -> Result<(), Unreadable> {
    let must_be = || wrong(&format!("{within}.{name}"), "an absolute URL with http or https");
    let text = text(object, within, name, MAX_URL_BYTES)?;
    let url = reqwest::Url::parse(text).map_err(|_| must_be())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(()) } else { Err(must_be()) }
}

fn texts(object: &Map<String, Value>, within: &str, name: &str) -> Result<(), Unreadable> {
    let list = object.get(name).and_then(Value::as_array);
    let is_one = list.is_some_and(|list| {
        !list.is_empty()
            && list.len() <= MAX_LIST
            && list
                .iter()
                .all(|entry| entry.as_str().is_some_and(|text| !text.is_empty() && text.len() <= MAX_NAME_BYTES))
    });
    if is_one { Ok(()) } else { Err(wrong(&format!("{within}.{name}"), "a list of texts, at least one")) }
}

fn objects<'a>(
    object: &'a Map<String, Value>,
    within: &str,
    name: &str,
) -> Result<impl Iterator<Item = &'a Map<String, Value>>, Unreadable> {
    let list = object.get(name).and_then(Value::as_array);
    let is_one =
        |list: &&Vec<Value>| !list.is_empty() && list.len() <= MAX_LIST && list.iter().all(|entry| entry.is_object());
    let list = list.filter(is_one);
    let list = list.ok_or_else(|| wrong(&format!("{within}.{name}"), "a list of objects, at least one"))?;
    Ok(list.iter().filter_map(Value::as_object))
}
