//! Makes the cluster, once. It is made aside and renamed when it is complete, so that a crash in between leaves nothing
//! that looks like a cluster.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::info;

use super::command::finish;
use super::find::Binaries;
use super::identity::Identity;
use super::settings;
use super::{DATABASE, Durability, EmbeddedError, Home, USER};

/// The longest that `initdb` may take, and the making of the database after it. Slow disks take half a minute.
const INIT_LIMIT_S: u64 = 300;
/// What the names of unfinished clusters begin with.
const UNFINISHED: &str = "unfinished-";
/// How many of its last lines an error tells.
const LAST_LINES: usize = 8;

/// Makes the cluster unless there is one.
pub(super) fn ensure_cluster(
    home: &Home,
    identity: &Identity,
    binaries: &Binaries,
    durability: Durability,
) -> Result<(), EmbeddedError> {
    let cluster = home.cluster();
    if home.major()?.is_some() {
        return Ok(());
    }
    // An empty folder (somebody's mount point) may be replaced; anything else is not ours to remove.
    match fs::remove_dir(&cluster) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(_) => return Err(EmbeddedError::NotACluster { path: cluster }),
    }
    let started = Instant::now();
    info!(postgres = binaries.version, cluster = %cluster.display(), "making the cluster of the embedded Postgres");
    remove_unfinished(home);
    let unfinished = home.path().join(unfinished_name());
    run(initdb(&unfinished, *identity, binaries, durability), "", &cluster)?;
    run(single_user(&unfinished, *identity, binaries), &format!("CREATE DATABASE {DATABASE}\n"), &cluster)?;
    include_settings(&unfinished.join("postgresql.conf"))?;
    fs::rename(&unfinished, &cluster).map_err(EmbeddedError::io("rename", &unfinished))?;
    let synced = File::open(home.path()).and_then(|folder| folder.sync_all());
    synced.map_err(EmbeddedError::io("write", home.path()))?;
    info!(milliseconds = started.elapsed().as_millis(), "the cluster is made");
    Ok(())
}

/// A name that was never used: an `initdb` whose Meikan was killed may still be at work, and cleans up after itself.
fn unfinished_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{UNFINISHED}{}", now.as_nanos())
}

/// Removes what killed processes left, as far as that is possible: it is only litter.
fn remove_unfinished(home: &Home) {
    for entry in fs::read_dir(home.path()).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// UTF-8, sorted by code point whatever the machine's language, with Unicode's upper and lower case; page checksums; and
/// no connection but through the socket. Nothing depends on ICU, whose versions sort differently.
fn initdb(cluster: &Path, identity: Identity, binaries: &Binaries, durability: Durability) -> Command {
    let mut command = identity.command(&binaries.initdb());
    command.arg("--pgdata").arg(cluster).args(["--username", USER, "--encoding=UTF8", "--locale=C"]);
    if binaries.major >= 17 {
        command.args(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
    } else {
        command.args(["--locale-provider=libc", "--lc-ctype=C.UTF-8"]);
    }
    command.args(["--data-checksums", "--auth-local=trust", "--auth-host=reject"]);
    if durability == Durability::Fast {
        command.arg("--no-sync");
    }
    command
}

/// A server without connections, which reads statements from its standard input.
fn single_user(cluster: &Path, identity: Identity, binaries: &Binaries) -> Command {
    let mut command = identity.command(&binaries.postgres());
    command.arg("--single").arg("-D").arg(cluster).arg("postgres");
    command
}

fn run(command: Command, input: &str, cluster: &Path) -> Result<(), EmbeddedError> {
    let program = command.get_program().to_owned();
    let finished = finish(command, input, Duration::from_secs(INIT_LIMIT_S))
        .map_err(EmbeddedError::io("run", Path::new(&program)))?;
    if finished.status.success() {
        return Ok(());
    }
    Err(EmbeddedError::Init {
        cluster: cluster.to_owned(),
        status: finished.status.to_string(),
        last_lines: finished.last_lines(LAST_LINES),
    })
}

/// Lets the generated configuration read ours. What stands after that line, or is set by `ALTER SYSTEM`, wins.
fn include_settings(configuration: &Path) -> Result<(), EmbeddedError> {
    let append = || {
        let mut file = OpenOptions::new().append(true).open(configuration)?;
        writeln!(file, "\ninclude_if_exists = '{}'", settings::FILE)?;
        file.sync_all()
    };
    append().map_err(EmbeddedError::io("write", configuration))
}
