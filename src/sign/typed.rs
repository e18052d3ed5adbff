//! Typed data (EIP-712): each kind of document's types, and the hash of a message.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::Eip712Domain;
use alloy_dyn_abi::DynSolType;
use alloy_dyn_abi::eip712::Resolver;
use serde_json::{Map, Value, json};

use crate::document::{Kind, Unreadable};
use crate::id::ChainId;

/// The types of one kind of document.
pub(super) struct Types {
    primary: &'static str,
    resolver: Resolver,
    message: DynSolType,
    /// As wallets want them: the members of each type, with their own types.
    shown: Value,
}

/// The types of a kind, read once.
pub(super) fn types(kind: Kind, primary: &'static str, types: &'static [&'static str]) -> &'static Types {
    static KNOWN: LazyLock<Mutex<HashMap<Kind, &'static Types>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(kind).or_insert_with(|| Box::leak(Box::new(Types::read(primary, types))))
}

fn domain(chain_id: ChainId) -> Eip712Domain {
    let text = |text| Some(Cow::Borrowed(text));
    Eip712Domain::new(text("Meikan"), text("1"), Some(U256::from(chain_id)), None, None)
}

impl Types {
    fn read(primary: &'static str, types: &[&str]) -> Self {
        let mut resolver = Resolver::default();
        let mut shown = Map::new();
        for text in types {
            resolver.ingest_string(text).expect("types are written in this program");
        }
        for text in types.iter().copied().chain(["EIP712Domain(string name,string version,uint256 chainId)"]) {
            let (name, members) = text.trim_end_matches(')').split_once('(').unwrap_or((text, ""));
            let members = members.split(',').filter_map(|member| member.split_once(' '));
            let members = members.map(|(ty, name)| json!({ "name": name, "type": ty }));
            shown.insert(name.to_owned(), members.collect());
        }
        let message = resolver.resolve(primary).expect("types are written in this program");
        Self { primary, resolver, message, shown: Value::Object(shown) }
    }

    /// The hash that is signed.
    pub(super) fn hash(&self, message: &Value, chain_id: ChainId) -> Result<B256, Unreadable> {
        let unfit = |error: alloy_dyn_abi::Error| Unreadable(format!("the document does not fit its types: {error}"));
        let value = self.message.coerce_json(message).map_err(unfit)?;
        let of_message = self.resolver.eip712_data_word(&value).map_err(unfit)?;
        let of_domain = domain(chain_id).separator();
        Ok(keccak256([&[0x19, 0x01], of_domain.as_slice(), of_message.as_slice()].concat()))
    }

    /// What `eth_signTypedData_v4` takes.
    pub(super) fn shown(&self, message: Value, chain_id: ChainId) -> Value {
        json!({
            "domain": { "name": "Meikan", "version": "1", "chainId": chain_id },
            "primaryType": self.primary,
            "types": self.shown,
            "message": message,
        })
    }
}
