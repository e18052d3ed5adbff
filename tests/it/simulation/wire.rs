//! What stands between the node and its database: a relay on a Unix socket that knows where one statement ends and the
//! next begins, and cuts, refuses or falls silent there.
//!
//! Each group of messages up to a `Sync`, a simple query, and each piece of a COPY is one round trip. A fault is set to
//! one of them, counted from when it was armed, so that the same seed is cut at the same statement. Several may be under
//! way at once: whose answer it is that the server gives is known by counting both.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;

use super::crash::Crash;
use crate::support::folder::Folder;

/// What goes wrong at one round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// The connection breaks before the server hears of it.
    Unheard,
    /// The connection breaks once the server has heard of it: whether it was done is not told.
    Heard,
    /// The connection breaks once the server has done it and before it is told.
    Untold,
    /// The server refuses it: the disk is full (F59).
    Refused,
}

impl Cut {
    pub(super) const ALL: [Self; 4] = [Self::Unheard, Self::Heard, Self::Untold, Self::Refused];
}

/// What the relay's connections share.
struct Shared {
    crash: Crash,
    /// Round trips still to go, and what happens at the last of them.
    armed: Option<(u64, Cut)>,
    /// What happens to the round trip at which a crash comes.
    crash_cut: Option<Cut>,
    /// Whether the fault that was armed has happened.
    happened: bool,
    injectors: Vec<mpsc::UnboundedSender<String>>,
}

/// A relay; dropping it ends its connections.
pub(super) struct Relay {
    folder: Folder,
    shared: Arc<Mutex<Shared>>,
    /// The generation of connections that live.
    alive: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.alive.send_modify(|generation| *generation += 1);
    }
}

impl Relay {
    /// A relay to the server of that URL.
    pub(super) fn start(server: &str, crash: Crash) -> Self {
        let server: tokio_postgres::Config = server.parse().expect("the URL is valid");
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).expect("a socket can be made");
        let shared = Shared { crash, armed: None, crash_cut: None, happened: false, injectors: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let (alive, _) = watch::channel(0);
        let accepting = tokio::spawn(accept(listener, Box::new(server), Arc::clone(&shared), alive.clone()));
        Self { folder, shared, alive, accepting }
    }

    /// Where a client finds it.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    /// Lets that happen at the round trip of that number from now, counted from 1.
    pub(super) fn arm(&self, at: u64, cut: Cut) {
        let mut shared = self.shared();
        shared.armed = Some((at, cut));
        shared.happened = false;
    }

    /// What a crash that comes at a round trip leaves of it.
    pub(super) fn crash_with(&self, cut: Option<Cut>) {
        self.shared().crash_cut = cut;
    }

    /// Lets nothing happen any more; whether it has.
    pub(super) fn disarm(&self) -> bool {
        let mut shared = self.shared();
        shared.armed = None;
        std::mem::take(&mut shared.happened)
    }

    /// Sends a statement on every connection, which must be idle; the clients hear nothing of it.
    pub(super) fn inject(&self, statement: &str) {
        self.shared().injectors.retain(|injector| injector.send(statement.to_owned()).is_ok());
    }

    /// Ends every connection, as the death of the process does.
    pub(super) fn end_connections(&self) {
        self.alive.send_modify(|generation| *generation += 1);
        self.shared().injectors.clear();
    }
}

/// A connection to the server.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn connect(server: &tokio_postgres::Config) -> std::io::Result<Box<dyn Stream>> {
    let port = server.get_ports().first().copied().unwrap_or(5432);
    Ok(match server.get_hosts().first().expect("the URL names a host") {
        Host::Unix(folder) => Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await?),
        Host::Tcp(host) => Box::new(TcpStream::connect((host.as_str(), port)).await?),
    })
}

async fn accept(
    listener: UnixListener,
    server: Box<tokio_postgres::Config>,
    shared: Arc<Mutex<Shared>>,
    alive: watch::Sender<u64>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let Ok(server) = connect(&server).await else { continue };
        let (injector, injected) = mpsc::unbounded_channel();
        shared.lock().unwrap().injectors.push(injector);
        let mut alive = alive.subscribe();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            alive.borrow_and_update();
            let (swallow, swallowing) = watch::channel(0);
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = split(server);
            let (told, mut tell) = mpsc::channel(1);
            let requests = Requests { client: client_read, server: server_write, shared, swallow, injected, asked: 0 };
            let answers = Answers { server: server_read, client: client_write, swallowing, told };
            tokio::select! {
                _ = alive.changed() => {}
                () = requests.relay(&mut tell) => {}
                () = answers.relay() => {}
            }
        });
    }
}

/// From the client to the server.
struct Requests {
    client: OwnedReadHalf,
    server: WriteHalf<Box<dyn Stream>>,
    shared: Arc<Mutex<Shared>>,
    /// The number of the question whose answer the client shall not hear, counted from 1.
    swallow: watch::Sender<u64>,
    injected: mpsc::UnboundedReceiver<String>,
    /// Questions so far.
    asked: u64,
}

impl Requests {
    async fn relay(mut self, told: &mut mpsc::Receiver<()>) {
        let mut waiting: Vec<u8> = Vec::new();
        let mut started = false;
        let mut chunk = vec![0; 16 * 1024];
        loop {
            let read = tokio::select! {
                read = self.client.read(&mut chunk) => read.unwrap_or(0),
                Some(statement) = self.injected.recv() => {
                    self.swallow.send_replace(self.asked + 1);
                    let sent = self.ask(&simple_query(&statement)).await;
                    // The answer is waited for: the client may not speak in between.
                    if !sent || told.recv().await.is_none() {
                        return;
                    }
                    continue;
                }
            };
            if read == 0 {
                return;
            }
            waiting.extend_from_slice(&chunk[..read]);
            let mut begin = 0;
            let mut place = 0;
            while let Some((kind, end)) = message(&waiting[place..], started) {
                place += end;
                let is_boundary = kind.is_none_or(|kind| matches!(kind, b'Q' | b'S' | b'd' | b'X'));
                started = true;
                if !is_boundary {
                    continue;
                }
                let group = &waiting[begin..place];
                begin = place;
                let cut = kind.filter(|kind| *kind != b'X').and_then(|_| self.shared.lock().unwrap().round_trip());
                if !self.pass(group, cut, told).await {
                    return;
                }
            }
            waiting.drain(..begin);
        }
    }

    /// Sends a group of messages to the server; whether the connection stands.
    async fn ask(&mut self, group: &[u8]) -> bool {
        // Within a COPY the server says nothing until its end.
        self.asked += u64::from(!group.starts_with(b"d"));
        self.server.write_all(group).await.is_ok()
    }

    /// Passes a group of messages on, or what becomes of it; whether the connection goes on.
    async fn pass(&mut self, group: &[u8], cut: Option<Cut>, told: &mut mpsc::Receiver<()>) -> bool {
        match cut {
            None => self.ask(group).await,
            Some(Cut::Unheard) => false,
            Some(Cut::Heard) => {
                self.ask(group).await;
                false
            }
            Some(Cut::Untold) => {
                self.swallow.send_replace(self.asked + 1);
                if self.ask(group).await && !group.starts_with(b"d") {
                    told.recv().await;
                }
                false
            }
            // Within a COPY a refusal breaks the connection.
            Some(Cut::Refused) if group.starts_with(b"d") || group.starts_with(b"c") => false,
            // No server refuses to roll back, or to forget a statement.
            Some(Cut::Refused) if starts_with(group, b"ROLLBACK") || group.starts_with(b"C") => self.ask(group).await,
            Some(Cut::Refused) => {
                let is_commit = starts_with(group, b"COMMIT");
                let refusal = "DO $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' \
                               USING ERRCODE = '53100'; END $$";
                // A commit that fails leaves no transaction.
                let statement = if is_commit { format!("ROLLBACK; {refusal}") } else { refusal.to_owned() };
                self.ask(&simple_query(&statement)).await
            }
        }
    }
}

impl Shared {
    /// One more round trip; what is to become of it.
    fn round_trip(&mut self) -> Option<Cut> {
        if self.crash.passes() {
            return self.crash_cut;
        }
        let (left, cut) = self.armed.as_mut()?;
        *left = left.saturating_sub(1);
        if *left > 0 {
            return None;
        }
        let cut = *cut;
        self.armed = None;
        self.happened = true;
        Some(cut)
    }
}

/// From the server to the client.
struct Answers {
    server: ReadHalf<Box<dyn Stream>>,
    client: OwnedWriteHalf,
    swallowing: watch::Receiver<u64>,
    /// Told whenever a question is answered and the client does not hear of it.
    told: mpsc::Sender<()>,
}

impl Answers {
    async fn relay(mut self) {
        let mut waiting: Vec<u8> = Vec::new();
        let mut answered = 0;
        let mut chunk = vec![0; 16 * 1024];
        loop {
            let read = self.server.read(&mut chunk).await.unwrap_or(0);
            if read == 0 {
                return;
            }
            waiting.extend_from_slice(&chunk[..read]);
            let mut place = 0;
            let mut heard: Vec<u8> = Vec::new();
            while let Some((kind, end)) = message(&waiting[place..], true) {
                let message = &waiting[place..place + end];
                place += end;
                let is_heard = *self.swallowing.borrow() != answered + 1;
                if is_heard {
                    heard.extend_from_slice(message);
                }
                // It is ready, or waits for what is to be copied.
                if matches!(kind, Some(b'Z' | b'G')) {
                    answered += 1;
                    if !is_heard {
                        let _ = self.told.send(()).await;
                    }
                }
            }
            waiting.drain(..place);
            if self.client.write_all(&heard).await.is_err() {
                return;
            }
        }
    }
}

/// Kind and length of the message at the beginning; the first one of a client has no kind.
fn message(bytes: &[u8], typed: bool) -> Option<(Option<u8>, usize)> {
    let head = usize::from(typed);
    let length = u32::from_be_bytes(bytes.get(head..head + 4)?.try_into().expect("four bytes"));
    let end = head + usize::try_from(length).expect("messages fit memory");
    (bytes.len() >= end).then(|| (typed.then(|| bytes[0]), end))
}

/// Whether a group is a simple query that begins so.
fn starts_with(group: &[u8], statement: &[u8]) -> bool {
    group.get(5..).is_some_and(|text| text.starts_with(statement))
}

fn simple_query(statement: &str) -> Vec<u8> {
    let length = u32::try_from(4 + statement.len() + 1).expect("statements are short");
    [b"Q".as_slice(), &length.to_be_bytes(), statement.as_bytes(), &[0]].concat()
}
