//! `meikan key`: makes, lists and revokes API keys. A node hears of it within `limits.key_cache_seconds`.

use alloy::primitives::Address;
use tracing::info;

use super::{AppError, Database, Exit, open_database, say, until_interrupted};
use crate::config::Config;
use crate::key::{Tier, Token, is_id};
use crate::store::ApiKey;

/// What is to be done.
#[derive(Debug, Clone)]
pub enum KeyOrder {
    /// Make a key.
    Create {
        /// Whose limits apply to it.
        tier: Tier,
        /// Who answers for it.
        owner: Address,
    },
    /// List every key.
    List,
    /// Revoke the key of that id.
    Revoke {
        /// The id.
        id: String,
    },
}

/// Does it, on a database whose schema is up to date.
///
/// # Errors
/// [`AppError`] of the database, and of an id that no key has.
pub async fn key(config: Config, order: KeyOrder) -> Result<Exit, AppError> {
    until_interrupted(async {
        let database = open_database(&config).await?;
        let done = obey(&database, order).await;
        database.close().await;
        done.map(|()| Exit::Done)
    })
    .await
}

async fn obey(database: &Database, order: KeyOrder) -> Result<(), AppError> {
    database.store.check_schema().await?;
    match order {
        KeyOrder::Create { tier, owner } => create(database, tier, owner).await,
        KeyOrder::List => {
            say("id            tier        owner                                       made                  revoked");
            for key in database.store.keys().await? {
                say(&line(&key));
            }
            Ok(())
        }
        KeyOrder::Revoke { id } => revoke(database, &id).await,
    }
}

async fn create(database: &Database, tier: Tier, owner: Address) -> Result<(), AppError> {
    let token = Token::draw().map_err(|reason| AppError::Usage {
        reason: format!("the system gives no random numbers ({reason}); look at /dev/urandom"),
    })?;
    database.store.create_key(&token, tier, owner).await?;
    info!(id = token.id(), tier = tier.name(), %owner, "a key was made; it is shown now, and never again");
    say(&token.reveal());
    Ok(())
}

async fn revoke(database: &Database, id: &str) -> Result<(), AppError> {
    let missing = || {
        // Who pastes the whole key by mistake must not find it in a log.
        let named = if is_id(id) { format!("there is no key {id}") } else { "an id has 12 hexadecimal digits".into() };
        AppError::Usage { reason: format!("{named}; `meikan key list` lists the ids") }
    };
    if !is_id(id) {
        return Err(missing());
    }
    let key = database.store.revoke_key(id).await?.ok_or_else(missing)?;
    say(&line(&key));
    Ok(())
}

/// A key in the list.
fn line(key: &ApiKey) -> String {
    let revoked = key.revoked_at.as_deref().unwrap_or("-");
    format!("{}  {:<10}  {:#x}  {}  {revoked}", key.id, key.tier.name(), key.owner, key.created_at)
}
