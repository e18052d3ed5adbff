//! The node as its operator meets it: the real binary, what it prints, its signals and its exit code.
//!
//! Every run has a working folder of its own and none of the caller's settings. Waiting is for a condition, with a
//! deadline; a program that a test leaves behind is killed.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::folder::Folder;
use crate::support::postgres;

/// Longest that a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks at a condition.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// The chain that configurations made here follow.
pub(crate) const CHAIN_ID: u64 = 167_000;

/// The identity registry that configurations made here watch.
pub(crate) const REGISTRY: &str = "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432";

/// A run that is being prepared.
#[must_use]
pub(crate) struct Meikan {
    command: Command,
    folder: Arc<Folder>,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; nothing when a signal ended it that it did not catch.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The one sentence that an operator reads: the only line on standard error that is no line of the log.
    pub(crate) fn sentence(&self) -> &str {
        let is_log = |line: &&str| line.starts_with("20") || line.starts_with('{');
        let said: Vec<&str> = self.stderr.lines().filter(|line| !is_log(line)).collect();
        let [sentence] = said[..] else { panic!("not one sentence: {said:#?}\n{self:#?}") };
        sentence.strip_prefix("meikan: ").unwrap_or_else(|| panic!("{sentence}"))
    }
}

/// A run of the program with these arguments, in a new folder.
pub(crate) fn meikan(arguments: &[&str]) -> Meikan {
    Meikan::of(Command::new(env!("CARGO_BIN_EXE_meikan"))).arguments(arguments)
}

/// The same on a terminal, by util-linux' `script`.
pub(crate) fn meikan_on_terminal(arguments: &[&str]) -> Meikan {
    let program = env!("CARGO_BIN_EXE_meikan");
    let words = std::iter::once(&program).chain(arguments).map(|word| format!("'{word}'"));
    let line = format!("stty cols 120; exec {}", words.collect::<Vec<_>>().join(" "));
    let mut terminal = Meikan::of(Command::new("script")).arguments(&["-qefc", &line, "/dev/null"]);
    terminal.command.env("TERM", "xterm");
    terminal
}

impl Meikan {
    fn of(mut command: Command) -> Self {
        for (name, _) in std::env::vars() {
            if ["MEIKAN_", "DATABASE_", "PG", "RUST_LOG"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.env("MEIKAN_POSTGRES_BIN", postgres::bin_dir());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Self { command, folder: Arc::new(Folder::new()) }
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// In the folder of another run, after it or beside it.
    pub(crate) fn inside(mut self, folder: &Arc<Folder>) -> Self {
        self.folder = Arc::clone(folder);
        self
    }

    /// With this configuration file.
    pub(crate) fn config(self, text: &str) -> Self {
        let path = self.folder.path().join("meikan.toml");
        std::fs::write(&path, text).expect("the folder can be written to");
        self.env("MEIKAN_CONFIG", path)
    }

    pub(crate) fn database(self, url: &str) -> Self {
        self.env("DATABASE_URL", url)
    }

    pub(crate) fn start(mut self) -> Running {
        let mut child = self.command.current_dir(self.folder.path()).spawn().expect("the program starts");
        let stdout = Printed::read(child.stdout.take().expect("it is piped"));
        let stderr = Printed::read(child.stderr.take().expect("it is piped"));
        Running { child, stdout, stderr, folder: self.folder }
    }

    /// Runs it to its end.
    pub(crate) async fn end(self) -> Ended {
        self.start().end().await
    }
}

/// What a program has printed so far.
struct Printed {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Printed {
    fn read(from: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&text);
        let reader = tokio::spawn(async move {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while let Ok(1..) = from.read_until(b'\n', &mut line).await {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }
}

/// A run under way.
pub(crate) struct Running {
    child: Child,
    stdout: Printed,
    stderr: Printed,
    folder: Arc<Folder>,
}

impl Running {
    pub(crate) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// What it has printed on standard error.
    pub(crate) fn log(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits until its log has a line with that text, and returns the line.
    pub(crate) async fn logged(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            let ended = self.child.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "it ended ({ended:?}) before it said {text:?}:\n{log}");
            assert!(Instant::now() < deadline, "it never said {text:?}:\n{log}");
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Where it serves, once it does.
    pub(crate) async fn site(&mut self) -> Site {
        let line = self.logged("serving GraphQL at ").await;
        let (_, address) = line.split_once("http://").expect("the line names an address");
        let (host, _) = address.split_once('/').expect("the address has a path");
        Site { url: format!("http://{host}") }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    pub(crate) fn pid(&self) -> Pid {
        let pid = self.child.id().expect("nobody has waited for it");
        Pid::from_raw(i32::try_from(pid).expect("a process id is small")).expect("it is not 0")
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status =
            status.unwrap_or_else(|_| panic!("it does not end:\n{}", self.log())).expect("it can be waited for");
        // A child of the program may hold the pipes longer; what the program wrote is there by then.
        let _ = timeout(Duration::from_secs(5), async { (&mut self.stdout.reader).await }).await;
        let _ = timeout(Duration::from_secs(5), async { (&mut self.stderr.reader).await }).await;
        let ended = Ended { code: status.code(), stdout: self.stdout.so_far(), stderr: self.stderr.so_far() };
        assert!(!ended.stderr.contains("panicked at") && !status.core_dumped(), "{ended:#?}");
        ended
    }
}

/// A node's HTTP server.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    url: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.to_str().expect("the header is text")
    }
}

impl Site {
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("it is plain HTTP")
    }

    pub(crate) async fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Answer, reqwest::Error> {
        meikan::chain::install_tls();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let mut request = client.request(method, format!("{}{path}", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: String::from_utf8_lossy(&response.bytes().await?).into_owned() })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(reqwest::Method::GET, path, &[], String::new()).await.expect("the node answers")
    }

    /// Asks GraphQL.
    pub(crate) async fn ask(&self, query: &str) -> Answer {
        let json = [("content-type", "application/json")];
        let body = json!({ "query": query }).to_string();
        self.request(reqwest::Method::POST, "/graphql", &json, body).await.expect("the node answers")
    }

    /// Looks again and again until the answer satisfies.
    pub(crate) async fn until(&self, path: &str, satisfied: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if satisfied(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} stays: {answer:?}");
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Waits until a block is indexed.
    pub(crate) async fn indexed(&self, block: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask("{ _meta { block { number } } }").await;
            if answer.json()["data"]["_meta"]["block"]["number"].as_u64() >= Some(block) {
                return;
            }
            assert!(Instant::now() < deadline, "block {block} is never indexed: {answer:?}");
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }
}

/// A configuration with one network at these endpoints, looked at often, and a free port to serve at. Further keys of
/// `[network.follow]` and further tables may be appended.
pub(crate) fn config(urls: &[&str]) -> String {
    format!(
        "[api]\nlisten = \"127.0.0.1:0\"\nready_head_age_seconds = 4000000000\n\
         [[network]]\nname = \"test\"\nchain_id = {CHAIN_ID}\nrpc_urls = {urls:?}\n\
         [network.contracts]\nidentity = \"{REGISTRY}\"\n\
         [network.follow]\npoll_interval_ms = 50\n"
    )
}

/// An address where nobody listens.
pub(crate) fn dead_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").to_string()
}

/// The processes whose command line holds that path, by their ids.
pub(crate) fn processes_of(path: &Path) -> Vec<i32> {
    let path = path.to_str().expect("temporary folders have names in ASCII");
    let processes = std::fs::read_dir("/proc").expect("Linux has /proc").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let ours = ids.filter(|id: &i32| {
        std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(path))
    });
    ours.collect()
}
