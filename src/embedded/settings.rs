//! The settings of the server: a file for what an operator may change, arguments for what must be as it is.

use std::fs;
use std::path::Path;

use super::identity::Identity;
use super::{Durability, EmbeddedError};

/// The name of our file in the cluster; `postgresql.conf` includes it.
pub(super) const FILE: &str = "meikan.conf";

/// For a small node: one machine, other work beside Postgres, an SSD, one writer of large batches, many short reads.
const TEXT: &str = "\
# Written by Meikan at every start: edits are lost. To change a setting, use ALTER SYSTEM (psql with the URL that Meikan
# prints) or write it at the end of postgresql.conf, and restart.

listen_addresses = ''                   # the socket only; see pg_hba.conf too
shared_buffers = 256MB
work_mem = 8MB
maintenance_work_mem = 128MB
effective_cache_size = 1GB
random_page_cost = 1.1                  # an SSD
jit = off                               # compiling takes longer than the short queries themselves
# A new network makes more than a hundred partitions and indexes in one transaction, and each is a lock.
max_locks_per_transaction = 256

# A backfill writes much: few checkpoints, small log. Recovery replays at most max_wal_size.
max_wal_size = 2GB
min_wal_size = 256MB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
wal_compression = on

timezone = 'UTC'
# Statements and their values (the chain's strings) stay out of the log; whoever sent one gets the error anyway.
log_min_error_statement = panic
log_checkpoints = off
log_autovacuum_min_duration = -1
";

/// Writes the file, complete or not at all.
pub(super) fn write(cluster: &Path, identity: &Identity) -> Result<(), EmbeddedError> {
    let file = cluster.join(FILE);
    if fs::read_to_string(&file).is_ok_and(|text| text == TEXT) {
        return Ok(());
    }
    let unfinished = cluster.join(format!("{FILE}.unfinished"));
    fs::write(&unfinished, TEXT).map_err(EmbeddedError::io("write", &unfinished))?;
    identity.hand_over(&unfinished)?;
    fs::rename(&unfinished, &file).map_err(EmbeddedError::io("write", &file))
}

/// The arguments that no configuration file may change: where the socket is, where messages go, and, for tests, that
/// nothing is forced to disk.
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
        settings.extend(["fsync=off", "full_page_writes=off"].map(String::from));
    }
    settings.into_iter().flat_map(|setting| ["-c".into(), setting]).collect()
}
