//! The files that documents make, pushed to an IPFS Pinning Service: each until the service says that it holds it.
//!
//! The service is asked by its standard API (`POST /pins`, `GET /pins/{requestid}`, with a bearer token). It fetches a file
//! from the network, or from the address of this node that the request names. A file that it could not fetch is asked for
//! again, after a while that doubles up to a day.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::chain::install_tls;
use crate::config::Documents;
use crate::document::Cid;
use crate::metrics;
use crate::store::{Pin, Store, StoreError};

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// Characters of an answer that is not understood that are told.
const TOLD_CHARS: usize = 200;

/// A pinning service.
struct Service {
    client: Client,
    pins: Url,
    token: String,
    /// Where this node's files can be fetched, if that is known.
    origin: String,
}

/// What the service says of a request to pin: the part of `PinStatus` that is needed.
#[derive(Deserialize)]
struct PinStatus {
    #[serde(rename = "requestid")]
    request: String,
    status: String,
}

/// Pushes files, again and again.
pub(super) async fn keep_pinning(store: Arc<Store>, rules: Documents) {
    install_tls();
    let client = Client::builder().timeout(DEADLINE).redirect(reqwest::redirect::Policy::none()).build();
    let pins = Url::parse(&format!("{}/pins", rules.pinning_url.trim_end_matches('/')));
    let (Ok(client), Ok(pins)) = (client, pins) else {
        tracing::error!("documents.pinning_url is no address: no file is pinned");
        return;
    };
    let service = Service { client, pins, token: rules.pinning_token, origin: rules.pinning_origin };
    let every = Duration::from_secs(rules.pinning_seconds);
    loop {
        if let Err(error) = service.push(&store, rules.pinning_seconds).await {
            tracing::warn!(%error, "files that are to be pinned cannot be read; it is tried again");
        }
        sleep(every).await;
    }
}

impl Service {
    async fn push(&self, store: &Store, pause: u64) -> Result<(), StoreError> {
        for file in store.claim_unpinned(pause).await? {
            let pin = match &file.request {
                None => self.ask(&file.cid).await,
                Some(request) => self.look(request).await,
            };
            let outcome = match &pin {
                Ok(Pin::Held) => "pinned",
                Ok(Pin::Asked(_)) => "asked",
                Ok(Pin::Failed) | Err(_) => "failed",
            };
            ::metrics::counter!(metrics::PINS, "outcome" => outcome).increment(1);
            match pin {
                Ok(pin) => {
                    if pin == Pin::Failed {
                        tracing::warn!(cid = %file.cid, "the pinning service could not fetch a file; it is asked again");
                    }
                    store.note_pin(&file.cid, &pin).await?;
                }
                Err(reason) => tracing::warn!(cid = %file.cid, reason, "a file is not pinned; it is tried again"),
            }
        }
        Ok(())
    }

    /// Asks for a file to be pinned.
    async fn ask(&self, cid: &Cid) -> Result<Pin, String> {
        let mut wish = json!({ "cid": cid.to_string(), "name": format!("{cid}.json") });
        if !self.origin.is_empty() {
            wish["meta"] = json!({ "url": format!("{}/files/{cid}", self.origin) });
        }
        let request = self.client.post(self.pins.clone()).bearer_auth(&self.token);
        let request = request.header("content-type", "application/json").body(wish.to_string());
        read(request.send().await).await
    }

    /// Asks what became of a request.
    async fn look(&self, request: &str) -> Result<Pin, String> {
        let mut address = self.pins.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.push(request);
        }
        let answer = self.client.get(address).bearer_auth(&self.token).send().await;
        // A request that the service has forgotten is made anew.
        if answer.as_ref().is_ok_and(|answer| answer.status() == reqwest::StatusCode::NOT_FOUND) {
            return Ok(Pin::Failed);
        }
        read(answer).await
    }
}

async fn read(answer: reqwest::Result<Response>) -> Result<Pin, String> {
    // The address may hold a secret.
    let plain = |error: reqwest::Error| error.without_url().to_string();
    let answer = answer.map_err(plain)?;
    let status = answer.status();
    let text = answer.text().await.map_err(plain)?;
    if !status.is_success() {
        let told = serde_json::from_str::<Value>(&text).unwrap_or_default();
        let reason = told["error"]["reason"].as_str().unwrap_or("no reason is told");
        return Err(format!("the pinning service answers {status}: {reason}"));
    }
    let told: PinStatus = serde_json::from_str(&text).map_err(|error| {
        format!(
            "the pinning service answers what is no PinStatus ({error}): {}",
            text.chars().take(TOLD_CHARS).collect::<String>()
        )
    })?;
    Ok(match told.status.as_str() {
        "pinned" => Pin::Held,
        "failed" => Pin::Failed,
        _ => Pin::Asked(told.request),
    })
}
