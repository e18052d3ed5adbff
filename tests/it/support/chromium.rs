//! A real, headless Chromium that cannot reach anything but 127.0.0.1, and that remembers every request and every
//! complaint of its pages.
//!
//! It is driven over its DevTools protocol by one WebSocket. Pages and their workers are sessions on it; each is held at
//! its start until it is watched, so that nothing happens unseen. What a person would do (click, press, type) goes in as
//! input events, not as calls into the page.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use std::{env, fs, process};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// How long a start, an answer of the browser, or a condition on a page may take: far more than a slow machine needs.
const DEADLINE: Duration = Duration::from_secs(120);
/// How often a condition on a page is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What the browser is called on various systems.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// The switches of every start: no window, no sandbox (root has none), no name resolves, nothing calls home.
const SWITCHES: [&str; 16] = [
    "--headless",
    "--no-sandbox",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-breakpad",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--window-size=1440,900",
    "--remote-debugging-port=0",
];

/// A running browser with a profile of its own.
pub(crate) struct Browser {
    // In this order: a browser that is dropped is killed before its profile is removed.
    process: Child,
    _profile: Profile,
    wire: Wire,
}

impl Browser {
    /// Starts the Chromium that is on the PATH.
    pub(crate) async fn start() -> Self {
        let program = program();
        let profile = Profile::new();
        let mut process = Command::new(&program)
            .args(SWITCHES)
            .arg(format!("--user-data-dir={}", profile.0.display()))
            .env("HOME", &profile.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let stderr = process.stderr.take().expect("it is piped");
        let address = timeout(DEADLINE, devtools_address(stderr)).await.expect("Chromium tells its address in time");
        Self { process, _profile: profile, wire: Wire::connect(&address).await }
    }

    /// Opens a URL in a new tab. It returns when the answer has begun to arrive: wait for what you need of the page.
    pub(crate) async fn open(&self, url: &str) -> Page {
        let blank = json!({ "url": "about:blank" });
        let target = self.wire.call("", "Target.createTarget", blank).await["targetId"].clone();
        let attachment = json!({ "targetId": target, "flatten": true });
        let session = self.wire.call("", "Target.attachToTarget", attachment).await["sessionId"].clone();
        let page = Page { wire: self.wire.clone(), session: session.as_str().expect("a session's id").to_owned() };
        for (method, parameters) in watching() {
            page.call(method, parameters).await;
        }
        page.call("Page.navigate", json!({ "url": url })).await;
        page
    }

    /// The URL of every request that a page or worker made so far, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.wire.seen().requests.clone()
    }

    /// Waits until a page or worker has asked for a URL that begins so.
    pub(crate) async fn wait_for_request(&self, start: &str) {
        let requested = async {
            while !self.requests().iter().any(|url| url.starts_with(start)) {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(DEADLINE, requested).await.is_err() {
            panic!("waited in vain for a request of {start}, and there are: {:#?}", self.requests());
        }
    }

    /// What a developer would see in red or yellow so far: errors and warnings on the console, uncaught exceptions,
    /// violations of a content security policy, failed requests, crashes.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.wire.seen().complaints.clone()
    }

    /// Waits until there is a complaint that contains a text.
    pub(crate) async fn wait_for_complaint(&self, text: &str) {
        let complained = async {
            while !self.complaints().iter().any(|complaint| complaint.contains(text)) {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(DEADLINE, complained).await.is_err() {
            panic!("waited in vain for a complaint with {text:?}, and there are: {:#?}", self.complaints());
        }
    }

    /// Ends the browser in order; without it (in a test that fails) it is killed.
    pub(crate) async fn close(mut self) {
        self.wire.post("", "Browser.close", json!({}));
        timeout(DEADLINE, self.process.wait()).await.expect("Chromium ends in time").expect("it is our child");
    }
}

/// One tab.
pub(crate) struct Page {
    wire: Wire,
    session: String,
}

impl Page {
    /// The value of a JavaScript expression; a promise is awaited.
    pub(crate) async fn evaluate(&self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", parameters).await;
        assert!(answer.get("exceptionDetails").is_none(), "{expression} throws: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until a JavaScript expression is true; `what` says in the failure what was awaited.
    pub(crate) async fn wait_until(&self, what: &str, expression: &str) {
        let condition = async {
            while self.evaluate(&format!("Boolean({expression})")).await != true {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(DEADLINE, condition).await.is_err() {
            let shown = self.evaluate("document.body.innerText").await;
            panic!(
                "waited in vain for {what}; complaints: {:#?}; the page shows: {shown}",
                self.wire.seen().complaints
            );
        }
    }

    /// Waits until the element of a CSS selector shows a text; white space of every kind and length counts as one space.
    pub(crate) async fn wait_for_text(&self, selector: &str, text: &str) {
        let shown = format!("(document.querySelector({})?.innerText ?? '')", json!(selector));
        let expression = format!(r"{shown}.replace(/\s+/g, ' ').includes({})", json!(text));
        self.wait_until(&format!("{text:?} in {selector}"), &expression).await;
    }

    /// Clicks in the middle of the element of a CSS selector, once it is there.
    pub(crate) async fn click(&self, selector: &str) {
        let element = format!("document.querySelector({})", json!(selector));
        self.wait_until(selector, &element).await;
        let centre = format!("(r => [r.x + r.width / 2, r.y + r.height / 2])({element}.getBoundingClientRect())");
        let centre = self.evaluate(&centre).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": centre[0], "y": centre[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Presses Ctrl together with a letter or the space bar.
    pub(crate) async fn press_control(&self, key: char) {
        const CONTROL: u32 = 2;
        let capital = key.to_ascii_uppercase();
        let code = if key == ' ' { "Space".to_owned() } else { format!("Key{capital}") };
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({
                "type": kind,
                "modifiers": CONTROL,
                "key": key.to_string(),
                "code": code,
                "windowsVirtualKeyCode": u32::from(capital),
            });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Types a text where the focus is, key by key.
    pub(crate) async fn type_text(&self, text: &str) {
        for character in text.chars() {
            self.call("Input.dispatchKeyEvent", json!({ "type": "char", "text": character.to_string() })).await;
        }
    }

    async fn call(&self, method: &str, parameters: Value) -> Value {
        self.wire.call(&self.session, method, parameters).await
    }
}

/// The connection to the browser: numbered calls out; answers, and events of all sessions, in.
#[derive(Clone)]
struct Wire {
    out: mpsc::UnboundedSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    last_id: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    complaints: Vec<String>,
}

impl Wire {
    async fn connect(address: &str) -> Self {
        let (socket, _) = connect_async(address).await.expect("Chromium listens at the address it printed");
        let (mut sink, mut stream) = socket.split();
        let (out, mut outgoing) = mpsc::unbounded_channel();
        let wire = Self { out, shared: Arc::default() };
        tokio::spawn(async move {
            while let Some(message) = outgoing.recv().await {
                if sink.send(message).await.is_err() {
                    break;
                }
            }
        });
        let reader = wire.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if let Ok(Ok(message)) = message.to_text().map(serde_json::from_str) {
                    reader.receive(message);
                }
            }
        });
        wire
    }

    /// Calls a method and waits for its result; the session `""` is the browser itself.
    async fn call(&self, session: &str, method: &str, parameters: Value) -> Value {
        let (sender, receiver) = oneshot::channel();
        let id = self.next_id();
        self.waiting().insert(id, sender);
        self.send(id, session, method, parameters);
        let answer = timeout(DEADLINE, receiver).await.unwrap_or_else(|_| panic!("no answer to {method} in time"));
        let answer = answer.expect("the wire holds the sender until the answer is there");
        assert!(answer.get("error").is_none(), "{method} failed: {answer}");
        answer["result"].clone()
    }

    /// Calls a method and does not wait; for use where answers are read.
    fn post(&self, session: &str, method: &str, parameters: Value) {
        self.send(self.next_id(), session, method, parameters);
    }

    fn send(&self, id: u64, session: &str, method: &str, parameters: Value) {
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if !session.is_empty() {
            message["sessionId"] = session.into();
        }
        // A browser that has gone is noticed by whoever waits for its answer.
        let _ = self.out.send(Message::text(message.to_string()));
    }

    fn receive(&self, message: Value) {
        if let Some(id) = message["id"].as_u64() {
            if let Some(sender) = self.waiting().remove(&id) {
                let _ = sender.send(message);
            }
            return;
        }
        let event = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Target.attachedToTarget" => self.watch(event),
            "Network.requestWillBeSent" => self.seen().requests.push(plain(&event["request"]["url"])),
            "Network.webSocketCreated" => self.seen().requests.push(plain(&event["url"])),
            method => self.seen().complaints.extend(complaint(method, event)),
        }
    }

    /// Watches a worker, which was held at its start, and lets it go.
    fn watch(&self, event: &Value) {
        let session = plain(&event["sessionId"]);
        if event["waitingForDebugger"] == true {
            for (method, parameters) in watching() {
                self.post(&session, method, parameters);
            }
            self.post(&session, "Runtime.runIfWaitingForDebugger", json!({}));
        }
    }

    fn next_id(&self) -> u64 {
        self.shared.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Value>>> {
        self.shared.waiting.lock().expect("no holder panics")
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().expect("no holder panics")
    }
}

/// What is switched on in each session to learn of its requests, its complaints and its workers. A worker has not all of
/// these, and refuses those that it has not.
fn watching() -> [(&'static str, Value); 5] {
    let workers = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
    [
        ("Network.enable", json!({})),
        ("Runtime.enable", json!({})),
        ("Log.enable", json!({})),
        ("Audits.enable", json!({})),
        ("Target.setAutoAttach", workers),
    ]
}

/// The complaint that an event is, if it is one.
fn complaint(method: &str, event: &Value) -> Option<String> {
    let about = match method {
        "Runtime.consoleAPICalled" if ["error", "warning", "assert"].contains(&event["type"].as_str()?) => {
            &event["args"]
        }
        "Runtime.exceptionThrown" => &event["exceptionDetails"],
        "Log.entryAdded" if ["error", "warning"].contains(&event["entry"]["level"].as_str()?) => &event["entry"],
        "Audits.issueAdded" if event["issue"]["code"] == "ContentSecurityPolicyIssue" => &event["issue"],
        // A request that the page itself gave up (`canceled`) has not failed.
        "Network.loadingFailed" if event["canceled"] != true => event,
        "Network.webSocketFrameError" | "Inspector.targetCrashed" => event,
        _ => return None,
    };
    Some(format!("{method}: {about}"))
}

/// Reads what Chromium prints until it names the address of its DevTools; the rest is read away, so that it never blocks.
async fn devtools_address(stderr: ChildStderr) -> String {
    let mut lines = BufReader::new(stderr).lines();
    let mut printed = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = line.strip_prefix("DevTools listening on ") {
            let address = address.to_owned();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return address;
        }
        printed.push_str(&line);
        printed.push('\n');
    }
    panic!("Chromium ended at its start and printed:\n{printed}");
}

fn program() -> PathBuf {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let candidates = PROGRAMS.iter().flat_map(|program| folders.iter().map(move |folder| folder.join(program)));
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .expect("Chromium is not on the PATH: install it with `apt-get install chromium`")
}

/// The browser's folder, which no other test of this run and no other run uses.
struct Profile(PathBuf);

impl Profile {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("meikan-chromium-{}-{count}", process::id()));
        fs::create_dir_all(&path).expect("the folder for temporary files can be written to");
        Self(path)
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // A process of the browser that is still ending may hold on to a file; what is left then harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn plain(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
