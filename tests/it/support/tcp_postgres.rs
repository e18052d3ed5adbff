//! A Postgres on a TCP port of the loopback, with passwords (scram) and, where wanted, TLS: what the embedded one, which
//! only its own user can reach over a Unix socket, cannot show.
//!
//! A shell holds the server and ends it when its standard input closes: when the value is dropped, and when the test's
//! process ends, however it does.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_postgres::NoTls;

use crate::support::folder::Folder;

/// The superuser.
const USER: &str = "operator";

/// Starts that are tried: another program may take the port in between.
const MAX_STARTS: usize = 5;

/// Longest that a start may take.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Pause between two looks whether it is up.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// `nobody`, which exists everywhere, for tests that run as root: Postgres refuses root.
const NOBODY: u32 = 65_534;

/// Holds a server, asks it to end at once when its input closes, and waits for it.
const HOLDER: &str = r#"
    "$@" & server=$!
    while read -r _; do :; done
    kill -INT "$server"
    wait "$server"
"#;

/// A server; dropping it ends it.
pub(crate) struct TcpPostgres {
    program: Program,
    password: String,
    port: u16,
    holder: Child,
    folder: Folder,
}

impl TcpPostgres {
    /// Starts a server whose superuser has that password.
    pub(crate) async fn start(bin_dir: &Path, password: &str) -> Self {
        Self::start_with(bin_dir, password, |_| Vec::new()).await
    }

    /// The same with a certificate, and its key, that clients are shown.
    pub(crate) async fn start_with_tls(bin_dir: &Path, password: &str, authority: &Authority, host: &str) -> Self {
        Self::start_with(bin_dir, password, |folder| {
            let (certificate, key) = authority.issue(folder, host);
            let path = |file: &Path| file.display().to_string();
            vec![
                "ssl=on".into(),
                format!("ssl_cert_file={}", path(&certificate)),
                format!("ssl_key_file={}", path(&key)),
            ]
        })
        .await
    }

    async fn start_with(bin_dir: &Path, password: &str, settings: impl Fn(&Path) -> Vec<String>) -> Self {
        let folder = Folder::new();
        let identity = Identity::choose();
        identity.hand_over(folder.path());
        let word = folder.path().join("password");
        fs::write(&word, password).expect("the folder can be written to");
        identity.hand_over(&word);
        let settings = settings(folder.path());
        for entry in fs::read_dir(folder.path()).expect("the folder is there").flatten() {
            identity.hand_over(&entry.path());
        }
        let mut initdb = identity.command(&bin_dir.join("initdb"));
        initdb.args(["--auth=scram-sha-256", "--username", USER, "--no-sync", "--locale=C", "--encoding=UTF8"]);
        initdb.arg("--pwfile").arg(&word).arg("-D").arg(folder.path().join("data"));
        let made = initdb.output().expect("initdb runs");
        assert!(made.status.success(), "{made:?}");
        let program = Program { bin_dir: bin_dir.into(), identity, settings };
        for _ in 0..MAX_STARTS {
            let port = free_port();
            let mut holder = program.spawn(folder.path(), port);
            if is_up(&mut holder, &url(password, port)).await {
                return Self { program, password: password.into(), port, holder, folder };
            }
            end(&mut holder);
        }
        panic!("the server of {} does not start:\n{}", bin_dir.display(), log(folder.path()));
    }

    /// The URL of its first database, for its superuser.
    pub(crate) fn url(&self) -> String {
        url(&self.password, self.port)
    }

    /// The same with another password.
    pub(crate) fn url_with_password(&self, password: &str) -> String {
        url(password, self.port)
    }

    /// The same by a host name and with parameters.
    pub(crate) fn url_with(&self, host: &str, parameters: &str) -> String {
        format!("{}?{parameters}", self.url().replace("127.0.0.1", host))
    }

    /// Ends it in order, and leaves nobody at its port.
    pub(crate) fn stop(&mut self) {
        end(&mut self.holder);
    }

    /// Starts it again on its data, at the same port.
    pub(crate) async fn resume(&mut self) {
        self.holder = self.program.spawn(self.folder.path(), self.port);
        let url = self.url();
        assert!(is_up(&mut self.holder, &url).await, "it does not start again:\n{}", log(self.folder.path()));
    }

    /// The version, such as `15`.
    pub(crate) fn major(&self) -> String {
        let version =
            Command::new(self.program.bin_dir.join("postgres")).arg("--version").output().expect("postgres runs");
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        version.split(' ').nth(2).and_then(|number| number.split('.').next()).unwrap_or_default().to_owned()
    }
}

impl Drop for TcpPostgres {
    fn drop(&mut self) {
        end(&mut self.holder);
    }
}

/// How a server is run.
struct Program {
    bin_dir: PathBuf,
    identity: Identity,
    /// `name=value`, beside those that all servers here have.
    settings: Vec<String>,
}

impl Program {
    fn spawn(&self, folder: &Path, port: u16) -> Child {
        let mut holder = Command::new("/bin/sh");
        holder.args(["-c", HOLDER, "holder"]).args(self.identity.words(&self.bin_dir.join("postgres")));
        holder.arg("-D").arg(folder.join("data"));
        let common = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB"];
        let common = common.map(String::from).into_iter().chain([format!("port={port}")]);
        for setting in common.chain(self.settings.iter().cloned()) {
            holder.args(["-c", &setting]);
        }
        let log = fs::File::create(folder.join("log")).expect("the folder can be written to");
        holder.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).process_group(0);
        self.identity.become_other(&mut holder);
        holder.spawn().expect("/bin/sh runs")
    }
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn end(holder: &mut Child) {
    drop(holder.stdin.take());
    let _ = holder.wait();
}

fn url(password: &str, port: u16) -> String {
    format!("postgres://{USER}:{password}@127.0.0.1:{port}/postgres")
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Whether it takes connections in time; it may also end, because the port was taken.
async fn is_up(holder: &mut Child, url: &str) -> bool {
    let deadline = Instant::now() + START_LIMIT;
    while Instant::now() < deadline {
        match tokio_postgres::connect(url, NoTls).await {
            Ok(_) => return true,
            Err(error) if error.as_db_error().is_some_and(|refused| refused.code().code() != "57P03") => {
                // Somebody else's server has the port.
                return false;
            }
            Err(_) => {}
        }
        if holder.try_wait().is_ok_and(|status| status.is_some()) {
            return false;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    false
}

/// Who runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// The user of the tests.
    Own,
    /// Root, under another name inside a user namespace.
    Namespace,
    /// `nobody`, where root has no namespaces.
    Nobody,
}

impl Identity {
    fn choose() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self::Own;
        }
        let trial = Command::new("unshare").args(["--user", "--map-user=65534", "--map-group=65534", "true"]).output();
        if trial.is_ok_and(|trial| trial.status.success()) { Self::Namespace } else { Self::Nobody }
    }

    /// The words of a command line that runs a program.
    fn words(self, program: &Path) -> Vec<PathBuf> {
        let mut words: Vec<PathBuf> = match self {
            Self::Namespace => {
                ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"].map(Into::into).into()
            }
            Self::Own | Self::Nobody => Vec::new(),
        };
        words.push(program.into());
        words
    }

    fn command(self, program: &Path) -> Command {
        let words = self.words(program);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        self.become_other(&mut command);
        command
    }

    fn become_other(self, command: &mut Command) {
        command.env("LC_ALL", "C");
        if self == Self::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
    }

    fn hand_over(self, path: &Path) {
        if self == Self::Nobody {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
        }
    }
}

/// A certificate authority made for one test.
pub(crate) struct Authority {
    folder: Folder,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut about = CertificateParams::new(Vec::new()).expect("no name is a valid list of names");
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(about, new_key()).expect("a certificate can be signed");
        let folder = Folder::new();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("the folder can be written to");
        Self { folder, issuer }
    }

    /// Its own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Issues a certificate for a host name; returns it and its key, as files in that folder.
    fn issue(&self, folder: &Path, host: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
        let secret = new_key();
        let about = CertificateParams::new(vec![host.into()]).expect("the host has a name");
        let issued = about.signed_by(&secret, &self.issuer).expect("a certificate can be signed");
        fs::write(&certificate, issued.pem()).expect("the folder can be written to");
        fs::write(&key, secret.serialize_pem()).expect("the folder can be written to");
        // Postgres refuses a key that others may read.
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        (certificate, key)
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("there is randomness")
}
