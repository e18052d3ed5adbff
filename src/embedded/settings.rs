//! The settings of the server: a file for what an operator may change, arguments for what must be as it is.

use std::fs;
use std::path::Path;

use super::identity::Identity;
use super::{Durability, EmbeddedError};

/// The name of our file in the cluster; `postgresql.conf` includes it.
pub(super) const FILE: &str = "meikan.conf";

/// The share of the memory that the server keeps pages in; the operating system keeps the others. More of it in a backfill
/// means fewer pages that are written to be read again: at a million feedback, 256 MB took a third longer than 3 GB.
const MEMORY_SHARE: u64 = 8;
/// The least and the most of that, in megabytes.
const BUFFERS_MB: (u64, u64) = (128, 4_096);
/// What it has where the memory is not known.
const UNKNOWN_BUFFERS_MB: u64 = 256;

/// For one machine, other work beside Postgres, an SSD, one writer of large batches, many short reads.
const TEXT: &str = "\
# Written by Meikan at every start: edits are lost. To change a setting, use ALTER SYSTEM (psql with the URL that Meikan
# prints) or write it at the end of postgresql.conf, and restart.

listen_addresses = ''                   # the socket only; see pg_hba.conf too
shared_buffers = {buffers}MB                   # an eighth of the memory
effective_cache_size = {cache}MB
work_mem = 8MB
maintenance_work_mem = 128MB
random_page_cost = 1.1                  # an SSD
jit = off                               # compiling takes longer than the short queries themselves
# A new network makes more than a hundred partitions and indexes in one transaction, and each is a lock.
max_locks_per_transaction = 256

# A backfill writes much: few checkpoints, small log. Recovery replays at most max_wal_size.
max_wal_size = 2GB
min_wal_size = 256MB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9

timezone = 'UTC'
# Statements and their values (the chain's strings) stay out of the log; whoever sent one gets the error anyway.
log_min_error_statement = panic
log_checkpoints = off
log_autovacuum_min_duration = -1
";

/// Writes the file, complete or not at all.
pub(super) fn write(cluster: &Path, identity: &Identity) -> Result<(), EmbeddedError> {
    let file = cluster.join(FILE);
    let text = text(memory_mb());
    if fs::read_to_string(&file).is_ok_and(|written| written == text) {
        return Ok(());
    }
    let unfinished = cluster.join(format!("{FILE}.unfinished"));
    fs::write(&unfinished, text).map_err(EmbeddedError::io("write", &unfinished))?;
    identity.hand_over(&unfinished)?;
    fs::rename(&unfinished, &file).map_err(EmbeddedError::io("write", &file))
}

/// The settings for a machine with so much memory.
fn text(memory_mb: Option<u64>) -> String {
    let buffers = memory_mb.map_or(UNKNOWN_BUFFERS_MB, |memory| {
        let (least, most) = BUFFERS_MB;
        (memory / MEMORY_SHARE).clamp(least, most)
    });
    TEXT.replace("{buffers}", &buffers.to_string()).replace("{cache}", &(4 * buffers).to_string())
}

/// The memory of the machine, or what a container may have of it, in megabytes; nothing where the system does not tell.
fn memory_mb() -> Option<u64> {
    let told = fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes =
        told.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let machine: u64 = kilobytes?;
    Some((machine >> 10).min(limit.map_or(u64::MAX, |bytes| bytes >> 20)))
}

/// The arguments that no configuration file may change: where the socket is, where messages go, and, for tests, that
/// nothing is forced to disk and little memory is taken.
pub(super) fn arguments(socket_dir: &Path, port: u16, durability: Durability) -> Vec<String> {
    // A list with one quoted element, because a folder's name may hold a comma.
    let socket_dir = socket_dir.display().to_string().replace('"', "\"\"");
    let mut settings = vec![
        format!("unix_socket_directories=\"{socket_dir}\""),
        "unix_socket_permissions=0700".into(),
        format!("port={port}"),
        "log_destination=stderr".into(),
        "logging_collector=off".into(),
        "log_line_prefix=".into(),
        "lc_messages=C".into(),
        "cluster_name=meikan".into(),
    ];
    if durability == Durability::Fast {
        // Commits still reach the operating system (synchronous_commit stays on), so that they survive a kill.
        settings.extend(["fsync=off", "full_page_writes=off", "shared_buffers=256MB"].map(String::from));
    }
    settings.into_iter().flat_map(|setting| ["-c".into(), setting]).collect()
}

#[cfg(test)]
mod tests {
    use super::{memory_mb, text};

    #[test]
    fn the_server_has_an_eighth_of_the_memory_within_bounds() {
        for (memory, buffers) in
            [(Some(512), "128MB"), (Some(8_000), "1000MB"), (Some(1_000_000), "4096MB"), (None, "256MB")]
        {
            assert!(text(memory).contains(&format!("shared_buffers = {buffers} ")), "{memory:?}");
        }
        assert!(!text(memory_mb()).contains('{'), "everything is filled in");
    }
}
