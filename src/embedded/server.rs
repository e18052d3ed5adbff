//! The server process: started, listened to, waited for, stopped.
//!
//! Two threads serve it, not tasks, so that it does not depend on the runtime that happened to start it: one passes its
//! messages to our log, one waits for its end. It has a process group of its own, because Ctrl-C is for us alone: we
//! stop it when our last write is done. A guard process (`guard.sh`) stops it if we are killed.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::sync::watch;
use tracing::{debug, error, warn};

use super::find::Binaries;
use super::identity::Identity;
use super::leftover::send;
use super::settings;
use super::socket::{PORT, SocketDir};
use super::{Durability, EmbeddedError};

/// How a server is stopped and how long each way is given: in order, at once, by force. Together under five seconds,
/// the time that a stop of the whole node may take; cutting short costs a recovery at the next start and no data.
const WAYS_TO_STOP: [(Signal, u64); 3] = [(Signal::INT, 3_500), (Signal::QUIT, 1_000), (Signal::KILL, 400)];
/// How often its end is looked for.
const STOP_POLL_MS: u64 = 5;
/// How long the guard lets an orphan end in order. Nobody waits for it, so it may take its time.
const GUARD_PATIENCE_S: u64 = 60;
/// How long the last words of an ended server are waited for.
const LAST_WORDS_LIMIT_MS: u64 = 300;
/// How many of the server's last lines an error tells.
const LAST_LINES: usize = 12;
/// Longer messages are cut into several.
const MAX_LINE_BYTES: u64 = 4_096;

/// A server process and those who serve it.
#[derive(Debug)]
pub(super) struct Server {
    pid: u32,
    cluster: PathBuf,
    /// How it ended, once it has.
    end: watch::Receiver<Option<String>>,
    last_lines: Arc<LastLines>,
    guard: Child,
}

impl Server {
    /// Starts the server on a cluster. It is not ready yet.
    pub(super) fn spawn(
        cluster: &Path,
        identity: &Identity,
        binaries: &Binaries,
        durability: Durability,
        socket: &SocketDir,
    ) -> Result<Self, EmbeddedError> {
        let program = binaries.postgres();
        let mut command = identity.command(&program);
        command.arg("-D").arg(cluster).args(settings::arguments(socket.path(), PORT, durability));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(EmbeddedError::io("run", &program))?;
        let pid = child.id();
        let last_lines = Arc::new(LastLines::default());
        let reader = child.stderr.take().map(|stderr| {
            let last_lines = Arc::clone(&last_lines);
            thread::spawn(move || last_lines.follow(stderr))
        });
        let guard = match guard(pid, cluster) {
            Ok(guard) => guard,
            Err(error) => {
                send(pid, Signal::KILL);
                let _ = child.wait();
                return Err(EmbeddedError::io("run", Path::new("/bin/sh"))(error));
            }
        };
        let end = wait_aside(child, reader);
        Ok(Self { pid, cluster: cluster.to_owned(), end, last_lines, guard })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn last_lines(&self) -> Vec<String> {
        self.last_lines.get()
    }

    /// The error that says how the server ended, if it has.
    pub(super) fn ended(&self) -> Option<EmbeddedError> {
        let status = self.end.borrow().clone()?;
        Some(EmbeddedError::Exited { cluster: self.cluster.clone(), status, last_lines: self.last_lines() })
    }

    /// Waits until the server has ended.
    pub(super) async fn exited(&self) -> EmbeddedError {
        let mut end = self.end.clone();
        // The sender sends before it goes.
        let _ = end.wait_for(Option::is_some).await;
        self.ended().unwrap_or_else(|| EmbeddedError::Exited {
            cluster: self.cluster.clone(),
            status: "nobody waited for it".into(),
            last_lines: self.last_lines(),
        })
    }

    /// Stops the server; blocks until it is gone, within the limits of [`WAYS_TO_STOP`]. Does nothing the second time.
    pub(super) fn halt(&mut self) {
        for (signal, limit_ms) in WAYS_TO_STOP {
            if self.end.borrow().is_some() {
                break;
            }
            if signal != Signal::INT {
                warn!(?signal, "the embedded Postgres takes too long to end: it is cut short and will recover");
            }
            send(self.pid, signal);
            let deadline = Instant::now() + Duration::from_millis(limit_ms);
            while self.end.borrow().is_none() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(STOP_POLL_MS));
            }
        }
        // Only now: were we killed in the midst of this, the guard would finish it.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

/// Starts the guard. It notices our end because the kernel then closes the only writing end of its standard input.
fn guard(pid: u32, cluster: &Path) -> std::io::Result<Child> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", include_str!("guard.sh"), "meikan-guard", &pid.to_string()]);
    command.arg(cluster.join("postmaster.pid")).arg(GUARD_PATIENCE_S.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()
}

/// Waits for the end of a process, on a thread of its own, and for its last words.
fn wait_aside(mut child: Child, reader: Option<JoinHandle<()>>) -> watch::Receiver<Option<String>> {
    let (sender, receiver) = watch::channel(None);
    thread::spawn(move || {
        let end = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        // A child of the server may hold its standard error longer than there is anything to read.
        let deadline = Instant::now() + Duration::from_millis(LAST_WORDS_LIMIT_MS);
        while reader.as_ref().is_some_and(|reader| !reader.is_finished()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(STOP_POLL_MS));
        }
        sender.send_replace(Some(end));
    });
    receiver
}

/// What the server said last.
#[derive(Debug, Default)]
struct LastLines(Mutex<VecDeque<String>>);

impl LastLines {
    fn get(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Passes every line to our log, until the server and all its children are gone.
    fn follow(&self, stderr: ChildStderr) {
        let mut reader = BufReader::new(stderr);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            log(&line);
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == LAST_LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    }
}

/// Repeats a line of the server in our log. Its errors reach whoever caused them as results, and its fatal ones are about
/// one connection ("the database system is starting up"). What it warns of, nobody else would tell.
fn log(line: &str) {
    match line.split_once(':').map(|(level, _)| level) {
        Some("PANIC") => error!(target: "postgres", "{line}"),
        Some("WARNING") => warn!(target: "postgres", "{line}"),
        _ => debug!(target: "postgres", "{line}"),
    }
}
