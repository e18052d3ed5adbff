//! Who holds a data directory, and what a crash left in it.
//!
//! The lock is the kernel's: it goes with its process, however that ends, so a stale one cannot exist. Whoever holds it
//! owns the cluster, and therefore any server that still runs on it: one whose Meikan was killed. That server is stopped
//! in order before a new one starts, because two would destroy the cluster.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tracing::{info, warn};

use super::{EmbeddedError, Home};

/// How a server that was left over is asked to end, and how long each way is given: in order (it may have to write all
/// of its buffers first), at once (leaving recovery to the next start), and by force.
const WAYS_TO_END: [(Signal, u64); 3] = [(Signal::INT, 60), (Signal::QUIT, 10), (Signal::KILL, 10)];
/// How often its processes are looked for.
const POLL_MS: u64 = 20;

/// The exclusive hold on a data directory, for as long as the value lives.
#[derive(Debug)]
pub(super) struct Lock(File, std::path::PathBuf);

impl Lock {
    /// Takes the lock or says who has it.
    pub(super) fn take(home: &Home) -> Result<Self, EmbeddedError> {
        let path = home.path().join("lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(EmbeddedError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file, path)),
            Err(TryLockError::Error(error)) => Err(EmbeddedError::io("lock", &path)(error)),
            Err(TryLockError::WouldBlock) => {
                let mut told = String::new();
                // The holder may be writing just now; what cannot be read is left out of the message.
                let _ = file.read_to_string(&mut told);
                let mut lines = told.lines();
                let holder_pid = lines.next().and_then(|pid| pid.parse().ok());
                Err(EmbeddedError::InUse {
                    home: home.path().to_owned(),
                    holder_pid,
                    url: lines.next().map(Into::into),
                })
            }
        }
    }

    /// Writes, for whoever finds it locked, our process id and the URL of the database.
    pub(super) fn tell(&self, url: &str) -> Result<(), EmbeddedError> {
        let mut file = &self.0;
        let text = format!("{}\n{url}\n", process::id());
        let told = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        told.map_err(EmbeddedError::io("write", &self.1))
    }
}

impl Drop for Lock {
    /// Lets go at once. Closing the file alone would not do: a process that another thread is just starting holds a copy
    /// of it until its own program runs, and the next start would be told that the folder is in use.
    fn drop(&mut self) {
        // It cannot fail for a lock that is held; if it did, closing the file lets go all the same.
        let _ = self.0.unlock();
    }
}

/// Ends a server that an earlier process left running on the cluster, and clears a `postmaster.pid` that would keep the
/// new one from starting. Needs the [`Lock`].
pub(super) fn clear(home: &Home) -> Result<(), EmbeddedError> {
    let cluster = home.cluster();
    let pid_file = cluster.join("postmaster.pid");
    if !pid_file.exists() && servers(&cluster).is_empty() {
        return Ok(());
    }
    end_servers(&cluster)?;
    match recorded_pid(&pid_file) {
        None => {}
        Some(stale) => {
            warn!(pid = stale, cluster = %cluster.display(), "Postgres did not end in order last time: it will recover");
            if Path::new("/proc").join(stale.to_string()).exists() {
                disown(&pid_file).map_err(EmbeddedError::io("rewrite", &pid_file))?;
            }
        }
    }
    Ok(())
}

fn end_servers(cluster: &Path) -> Result<(), EmbeddedError> {
    for (signal, limit_s) in WAYS_TO_END {
        let running = servers(cluster);
        if running.is_empty() {
            return Ok(());
        }
        let postmaster = recorded_pid(&cluster.join("postmaster.pid")).filter(|pid| running.contains(pid));
        if postmaster.is_none() && signal == Signal::INT {
            // Children without their postmaster cannot end in order: the checkpointer would write that the server was
            // shut down while a backend still writes, and the next start would not recover.
            continue;
        }
        info!(pids = ?running, ?signal, cluster = %cluster.display(), "ending a Postgres that an earlier run left here");
        // The postmaster ends its children.
        for pid in postmaster.map_or(running, |pid| vec![pid]) {
            send(pid, signal);
        }
        let deadline = Instant::now() + Duration::from_secs(limit_s);
        while Instant::now() < deadline {
            if servers(cluster).is_empty() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(POLL_MS));
        }
    }
    match servers(cluster) {
        pids if pids.is_empty() => Ok(()),
        pids => Err(EmbeddedError::Leftover { cluster: cluster.to_owned(), pids }),
    }
}

/// Sends a signal to a process; one that is gone already needs none.
pub(super) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The Postgres processes that work in the cluster: a server makes it its working directory, and its children inherit
/// that. Nothing is found where there is no `/proc`; then Postgres' own check decides.
fn servers(cluster: &Path) -> Vec<u32> {
    let recorded = recorded_pid(&cluster.join("postmaster.pid"));
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|process| process.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let process = Path::new("/proc").join(pid.to_string());
        let is_postgres = fs::read(process.join("comm")).is_ok_and(|name| name.trim_ascii() == b"postgres");
        is_postgres
            && match fs::read_link(process.join("cwd")) {
                Ok(folder) => folder == cluster,
                // Root without CAP_SYS_PTRACE (a container's) may not look at another user's process.
                Err(error) => error.kind() == io::ErrorKind::PermissionDenied && recorded == Some(*pid),
            }
    })
    .collect()
}

/// The process id in the first line of a `postmaster.pid`.
fn recorded_pid(pid_file: &Path) -> Option<u32> {
    fs::read_to_string(pid_file).ok()?.lines().next()?.trim().parse().ok()
}

/// Replaces the process id by our own. Postgres takes a `postmaster.pid` for live whenever any process has that id, and
/// ids are soon reused (in a container the same small ones return), but it knows that its parent is no postmaster.
/// The rest of the file must stay: with it Postgres makes sure that nobody uses the shared memory of the dead server.
fn disown(pid_file: &Path) -> io::Result<()> {
    let text = fs::read_to_string(pid_file)?;
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    fs::write(pid_file, format!("{}\n{rest}", process::id()))
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs;
    use std::process;

    use super::{Home, Lock};

    #[test]
    fn who_lets_go_of_a_folder_can_take_it_again_although_a_starting_process_still_has_a_copy_of_the_file() {
        let home = Home(env::temp_dir().join(format!("meikan-lock-{}", process::id())));
        fs::create_dir(home.path()).expect("the name is new");
        let lock = Lock::take(&home).expect("nobody has it");
        Lock::take(&home).expect_err("it is held");
        // What a fork makes, until the new process runs its program.
        let copy = lock.0.try_clone().expect("it can be copied");
        drop(lock);
        let again = Lock::take(&home);
        drop(copy);
        fs::remove_dir_all(home.path()).expect("it is ours");
        again.expect("it was let go");
    }
}
