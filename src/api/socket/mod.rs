//! WebSockets: the protocol `graphql-transport-ws`, in which a client keeps operations open beside each other.
//!
//! A connection is one task that reads, answers, and hands each operation's messages on as fast as the client takes them.
//! Nothing waits in memory for a client: an operation is asked for its next message when the one before is written. What
//! must always hold: a client that is cut off, because it is too slow or because the node stops, can go on where it was.
//!
//! A connection is its caller's, who may show an API key in `connection_init`, because a browser sets no headers here. Each
//! operation counts as a request.

mod operation;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Request, Response};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response as HttpResponse};
use futures_util::stream::{AbortHandle, BoxStream, SelectAll};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::operation::{Said, begin};
use super::error::{self, Code};
use super::gate::{Caller, Refusal};
use super::router::ApiState;
use super::session::Subscriber;
use crate::metrics;

/// The only protocol that is spoken.
const PROTOCOL: &str = "graphql-transport-ws";

/// Most operations of one connection.
const MAX_OPERATIONS: usize = 16;

/// Longest name of an operation that a client gives, in bytes.
const MAX_ID_BYTES: usize = 256;

/// Time that a client has to send `connection_init`.
const INIT_DEADLINE: Duration = Duration::from_secs(3);

/// Pause between two pings. A client that answered none of the last [`MISSED_PINGS`] is gone.
const PING_PAUSE: Duration = Duration::from_secs(20);
const MISSED_PINGS: u32 = 3;

/// Time that a client has to take its leave when the node stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// Bytes that a connection buffers to read and to write; its messages are small, and there are many connections.
const BUFFER_BYTES: usize = 8 << 10;

/// The places for connections and subscriptions, and the word that they end.
#[derive(Clone)]
pub(super) struct Sockets {
    connections: Arc<Semaphore>,
    pub(super) subscriptions: Arc<Semaphore>,
    most: u32,
    slow: Duration,
    stop: CancellationToken,
}

impl Sockets {
    pub(super) fn new(config: &crate::config::Api, stop: CancellationToken) -> Self {
        let most = config.max_subscriptions;
        let places = || Arc::new(Semaphore::new(most as usize));
        let slow = Duration::from_millis(config.slow_client_ms);
        Self { connections: places(), subscriptions: places(), most, slow, stop }
    }

    /// Waits until the last connection has ended, after the stop was asked for.
    pub(super) async fn closed(&self) {
        // No connection gives its place back before it has ended; an error would say that nobody can have one.
        let _ = self.connections.acquire_many(self.most).await;
    }
}

/// Answers a handshake.
pub(super) fn accept(
    state: ApiState,
    chain_id: Option<i64>,
    caller: Caller,
    upgrade: WebSocketUpgrade,
) -> HttpResponse {
    let Ok(place) = Arc::clone(&state.sockets().connections).try_acquire_owned() else {
        let message = "this node has as many connections as it takes; try again later";
        return super::router::refuse(axum::http::StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message);
    };
    let most_bytes = state.config().max_body_bytes;
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(most_bytes)
        .max_frame_size(most_bytes)
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .on_upgrade(move |socket| serve(Connection::new(state, chain_id, caller, socket), place))
        .into_response()
}

async fn serve(mut connection: Connection, _place: OwnedSemaphorePermit) {
    let protocol = connection.socket.protocol();
    let speaks = protocol.is_some_and(|protocol| protocol.as_bytes() == PROTOCOL.as_bytes());
    let end = if speaks { connection.run().await } else { End::Close(4406, "Subprotocol not acceptable".into()) };
    connection.end(end).await;
}

/// What clients say.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientMessage {
    ConnectionInit { payload: Option<Value> },
    Subscribe { id: String, payload: Box<Request> },
    Complete { id: String },
    Ping { payload: Option<Value> },
    Pong,
}

/// Why a connection ends.
enum End {
    /// The client is gone.
    Gone,
    /// It does not take what is sent.
    Slow,
    /// The node stops.
    Stopping,
    /// It broke the protocol: code and reason.
    Close(u16, String),
}

/// An operation that is open.
struct Operation {
    abort: AbortHandle,
    subscriber: Arc<Subscriber>,
}

/// The key that the first message shows: under either name, because it stands in the place of a header.
fn authorization(payload: &Value) -> Option<&str> {
    // What is there and is no text is no key, which is told.
    let shown = payload.get("authorization").or_else(|| payload.get("Authorization"))?;
    Some(shown.as_str().unwrap_or_default())
}

/// The end of a connection whose key is not taken; "try again later" where another time may be better.
fn not_taken(refusal: Refusal) -> End {
    let code = if refusal.code == Code::Unauthenticated { 4403 } else { 1013 };
    End::Close(code, refusal.message)
}

struct Connection {
    state: ApiState,
    chain_id: Option<i64>,
    caller: Caller,
    socket: WebSocket,
    is_acknowledged: bool,
    init_deadline: Instant,
    /// By the names that the client gave.
    operations: HashMap<String, Operation>,
    messages: SelectAll<BoxStream<'static, (String, Said)>>,
    pings: Interval,
    unanswered: u32,
}

impl Connection {
    fn new(state: ApiState, chain_id: Option<i64>, caller: Caller, socket: WebSocket) -> Self {
        let mut pings = interval_at(Instant::now() + PING_PAUSE, PING_PAUSE);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            state,
            chain_id,
            caller,
            socket,
            is_acknowledged: false,
            init_deadline: Instant::now() + INIT_DEADLINE,
            operations: HashMap::new(),
            messages: SelectAll::new(),
            pings,
            unanswered: 0,
        }
    }

    /// Reads and answers until the connection ends.
    async fn run(&mut self) -> End {
        let stop = self.state.sockets().stop.clone();
        loop {
            let went_on = tokio::select! {
                () = stop.cancelled() => Err(End::Stopping),
                () = sleep_until(self.init_deadline), if !self.is_acknowledged => {
                    Err(End::Close(4408, "Connection initialisation timeout".into()))
                }
                _ = self.pings.tick() => self.ping().await,
                said = self.socket.recv() => match said {
                    Some(Ok(message)) => self.heard(message).await,
                    Some(Err(_)) | None => Err(End::Gone),
                },
                Some((id, said)) = self.messages.next(), if !self.messages.is_empty() => self.hand_on(&id, said).await,
            };
            if let Err(end) = went_on {
                return end;
            }
        }
    }

    /// Both ends notice that the other one is gone without a word, and this one that a key was revoked.
    async fn ping(&mut self) -> Result<(), End> {
        if self.unanswered >= MISSED_PINGS {
            return Err(End::Gone);
        }
        if let Err(refusal) = self.state.gate().look_again(&self.caller).await
            && refusal.code == Code::Unauthenticated
        {
            return Err(not_taken(refusal));
        }
        self.unanswered += 1;
        self.send(Message::Ping(axum::body::Bytes::new())).await
    }

    async fn heard(&mut self, message: Message) -> Result<(), End> {
        self.unanswered = 0;
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(End::Close(4400, "Messages are JSON text".into())),
            Message::Close(_) => return Err(End::Gone),
            // The WebSocket itself answers pings.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        let Ok(message) = serde_json::from_str(text.as_str()) else {
            return Err(End::Close(4400, format!("Messages are those of {PROTOCOL}")));
        };
        match message {
            ClientMessage::ConnectionInit { .. } if self.is_acknowledged => {
                Err(End::Close(4429, "Too many initialisation requests".into()))
            }
            ClientMessage::ConnectionInit { payload } => {
                if let Some(authorization) = payload.as_ref().and_then(authorization) {
                    let shown = self.state.gate().show(&self.caller, authorization).await;
                    self.caller = shown.map_err(not_taken)?;
                }
                self.is_acknowledged = true;
                self.say(&json!({ "type": "connection_ack" })).await
            }
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, *payload).await,
            ClientMessage::Complete { id } => {
                self.forget(&id);
                Ok(())
            }
            ClientMessage::Ping { payload: None } => self.say(&json!({ "type": "pong" })).await,
            ClientMessage::Ping { payload } => self.say(&json!({ "type": "pong", "payload": payload })).await,
            ClientMessage::Pong => Ok(()),
        }
    }

    async fn subscribe(&mut self, id: String, request: Request) -> Result<(), End> {
        if !self.is_acknowledged {
            return Err(End::Close(4401, "Unauthorized".into()));
        }
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(End::Close(4400, format!("An operation's id has 1 to {MAX_ID_BYTES} bytes")));
        }
        if self.operations.contains_key(&id) {
            return Err(End::Close(4409, format!("Subscriber for {id} already exists")));
        }
        if self.operations.len() >= MAX_OPERATIONS {
            let message = format!("a connection has at most {MAX_OPERATIONS} operations; open another one");
            return self.refuse(&id, error::response(Code::TooComplex, &message)).await;
        }
        match begin(&self.state, self.chain_id, self.caller.anew(), request).await {
            Ok(begun) => {
                let (messages, abort) = futures_util::stream::abortable(begun.messages);
                let name = id.clone();
                self.messages.push(messages.map(move |said| (name.clone(), said)).boxed());
                self.operations.insert(id, Operation { abort, subscriber: begun.subscriber });
                Ok(())
            }
            Err(refusal) => self.refuse(&id, refusal.graphql()).await,
        }
    }

    /// An operation's message, to the client.
    async fn hand_on(&mut self, id: &str, said: Said) -> Result<(), End> {
        // What a client has ended may still have had a message under way.
        let Some(operation) = self.operations.get(id) else { return Ok(()) };
        match said {
            Said::Next(payload) => {
                ::metrics::counter!(metrics::SUBSCRIPTION_MESSAGES).increment(1);
                let text = format!("{{\"type\":\"next\",\"id\":{},\"payload\":{payload}}}", json!(id));
                self.send(Message::Text(text.into())).await
            }
            Said::Failed(mut errors) => {
                for told in &mut errors {
                    error::with_cursor(told, operation.subscriber.cursor());
                }
                self.forget(id);
                self.say(&json!({ "type": "error", "id": id, "payload": errors })).await
            }
            Said::End => {
                self.forget(id);
                self.say(&json!({ "type": "complete", "id": id })).await
            }
        }
    }

    fn forget(&mut self, id: &str) {
        if let Some(operation) = self.operations.remove(id) {
            operation.abort.abort();
        }
    }

    async fn refuse(&mut self, id: &str, refusal: Response) -> Result<(), End> {
        let errors = error::counted(refusal).errors;
        self.say(&json!({ "type": "error", "id": id, "payload": errors })).await
    }

    async fn say(&mut self, message: &Value) -> Result<(), End> {
        self.send(Message::Text(message.to_string().into())).await
    }

    /// Sends, and waits until the network took it: for so long nothing more is asked of any operation.
    async fn send(&mut self, message: Message) -> Result<(), End> {
        let sockets = self.state.sockets().clone();
        tokio::select! {
            sent = timeout(sockets.slow, self.socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(End::Gone),
                Err(_) => Err(End::Slow),
            },
            () = sockets.stop.cancelled() => Err(End::Stopping),
        }
    }

    /// Takes leave: operations that are open are told what to go on from.
    async fn end(mut self, end: End) {
        let slow = self.state.sockets().slow;
        let (code, reason, limit) = match end {
            End::Gone => return,
            End::Close(code, reason) => (code, reason, slow),
            // "Try again later", and "going away".
            End::Slow => (1013, "the client is too slow".into(), slow),
            End::Stopping => (1001, "the node is stopping".into(), FAREWELL),
        };
        let told = match code {
            1013 => {
                ::metrics::counter!(metrics::SUBSCRIPTIONS_CUT)
                    .increment(u64::try_from(self.operations.len()).unwrap_or(1));
                Some((Code::Timeout, "messages were not taken in time; subscribe again `after` the cursor"))
            }
            1001 => Some((Code::Unavailable, "this node is stopping; subscribe again `after` the cursor")),
            _ => None,
        };
        let farewell = async {
            for (id, operation) in &self.operations {
                let Some((code, message)) = told else { break };
                let mut errors = error::response(code, message).errors;
                for told in &mut errors {
                    error::with_cursor(told, operation.subscriber.cursor());
                }
                let text = json!({ "type": "error", "id": id, "payload": errors }).to_string();
                self.socket.feed(Message::Text(text.into())).await?;
            }
            let frame = CloseFrame { code, reason: reason.into() };
            self.socket.send(Message::Close(Some(frame))).await?;
            // The client answers with its own; then the connection ends without a reset that would lose what was sent.
            while let Some(Ok(_)) = self.socket.recv().await {}
            Ok::<(), axum::Error>(())
        };
        // A client that does not listen misses its farewell, and goes on from the last message that it got.
        let _ = timeout(limit, farewell).await;
    }
}
