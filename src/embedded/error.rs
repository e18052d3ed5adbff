//! What can go wrong with an embedded Postgres. Each message is one sentence (and the server's own words, where it had
//! any) that says what to do next.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no embedded Postgres.
#[derive(Debug)]
pub enum EmbeddedError {
    /// No usable binaries anywhere.
    NotFound {
        /// Every place that was searched, with what was wrong there.
        tried: Vec<String>,
    },
    /// The cluster was made by another major version than any that was found.
    WrongVersion {
        /// The folder of the cluster.
        cluster: PathBuf,
        /// The major version that it was made with.
        needs: u32,
        /// Every place that was searched, with what was found there.
        tried: Vec<String>,
    },
    /// Another Meikan holds the data directory.
    InUse {
        /// Meikan's folder for Postgres.
        home: PathBuf,
        /// The process id of the holder, if it has told.
        holder_pid: Option<u32>,
        /// The URL of its database, if it has told.
        url: Option<String>,
    },
    /// A server that an earlier Meikan left behind does not end.
    Leftover {
        /// The folder of the cluster.
        cluster: PathBuf,
        /// Its processes.
        pids: Vec<u32>,
    },
    /// The process runs as root, which Postgres refuses, and no other identity works.
    Root {
        /// What was tried, and how it failed.
        tried: Vec<String>,
    },
    /// The folder of the cluster holds something else.
    NotACluster {
        /// The folder.
        path: PathBuf,
    },
    /// `initdb`, or the making of the database after it, failed.
    Init {
        /// The cluster that was to be made.
        cluster: PathBuf,
        /// How it ended.
        status: String,
        /// Its last words.
        last_lines: Vec<String>,
    },
    /// The server ended by itself.
    Exited {
        /// The folder of the cluster.
        cluster: PathBuf,
        /// How it ended.
        status: String,
        /// Its last words.
        last_lines: Vec<String>,
    },
    /// The server runs but took no connection in time.
    NotReady {
        /// The time it was given.
        limit_s: u64,
        /// Its last words.
        last_lines: Vec<String>,
    },
    /// The server runs but refuses us.
    Connect {
        /// The URL that was tried; it holds no secret.
        url: String,
        /// The server's reason.
        reason: String,
    },
    /// No folder for the socket.
    Socket {
        /// The folder that was tried.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The operating system refused something else.
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

impl EmbeddedError {
    /// For `map_err`: the error of `action` on `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl Display for EmbeddedError {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { tried } => write!(
                out,
                "no Postgres 15 to 18 was found ({}); install one (Debian: `apt install postgresql`), or run `npm ci \
                 --prefix deploy/postgres` in Meikan's folder, or name its folder in MEIKAN_POSTGRES_BIN, or give a \
                 database with --database-url",
                tried.join("; ")
            ),
            Self::WrongVersion { cluster, needs, tried } => write!(
                out,
                "{} was made by Postgres {needs}, which was not found ({}); install Postgres {needs} or name its \
                 folder in MEIKAN_POSTGRES_BIN, or choose another --data-dir and index again",
                cluster.display(),
                tried.join("; ")
            ),
            Self::InUse { home, holder_pid, url } => {
                write!(out, "{} is in use by another Meikan", home.display())?;
                if let Some(pid) = holder_pid {
                    write!(out, " (process {pid})")?;
                }
                write!(out, "; stop it or choose another --data-dir")?;
                match url {
                    Some(url) => write!(out, ", or share its database with --database-url '{url}'"),
                    None => Ok(()),
                }
            }
            Self::Leftover { cluster, pids } => write!(
                out,
                "the Postgres that an earlier run left on {} does not end; end its processes by hand: {pids:?}",
                cluster.display()
            ),
            Self::Root { tried } => write!(
                out,
                "Postgres refuses to run as root and no other identity works ({}); run Meikan as another user, or \
                 give a --data-dir that such a user can enter, or give a database with --database-url",
                tried.join("; ")
            ),
            Self::NotACluster { path } => write!(
                out,
                "{} is not empty but holds no Postgres cluster; move it away or choose another --data-dir",
                path.display()
            ),
            Self::Init { cluster, status, last_lines } => write!(
                out,
                "the Postgres cluster {} could not be made ({status}){}{}",
                cluster.display(),
                advice(last_lines),
                Words(last_lines)
            ),
            Self::Exited { cluster, status, last_lines } => write!(
                out,
                "the Postgres on {} ended by itself ({status}){}{}",
                cluster.display(),
                advice(last_lines),
                Words(last_lines)
            ),
            Self::NotReady { limit_s, last_lines } => write!(
                out,
                "the embedded Postgres took no connection within {limit_s} s; see what it says{}",
                Words(last_lines)
            ),
            Self::Connect { url, reason } => {
                write!(out, "the embedded Postgres refuses {url} ({reason}); if its files were edited, undo that")
            }
            Self::Socket { path, reason } => write!(
                out,
                "the folder {} cannot hold the socket of the embedded Postgres: it {reason}; move it away, or choose \
                 a shorter --data-dir",
                path.display()
            ),
            Self::Io { action, path, source } => write!(
                out,
                "cannot {action} {} ({source}); {}",
                path.display(),
                match source.kind() {
                    io::ErrorKind::PermissionDenied =>
                        "run Meikan as the user who owns it, or choose another --data-dir",
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on that disk",
                    _ => "cure that or choose another --data-dir",
                }
            ),
        }
    }
}

impl Error for EmbeddedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What to do about the two ends that are not Postgres' own fault.
fn advice(last_lines: &[String]) -> &'static str {
    let said = |words: &str| last_lines.iter().any(|line| line.contains(words));
    if said("No space left on device") {
        "; make room on that disk"
    } else if said("Permission denied") || said("wrong ownership") {
        "; run Meikan as the user who owns it, or choose another --data-dir"
    } else {
        "; see what it said"
    }
}

/// The server's own words, at the end of a sentence.
struct Words<'a>(&'a [String]);

impl Display for Words<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => write!(out, " (it said nothing)"),
            lines => write!(out, ": {}", lines.join(" | ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EmbeddedError;

    #[test]
    fn what_is_not_postgres_own_fault_gets_advice() {
        let exited = |words: &str| {
            let last_lines = vec!["LOG:  starting".to_owned(), words.to_owned()];
            EmbeddedError::Exited { cluster: "/c".into(), status: "exit status: 1".into(), last_lines }.to_string()
        };
        assert_eq!(
            exited("PANIC:  could not write to file: No space left on device"),
            "the Postgres on /c ended by itself (exit status: 1); make room on that disk: LOG:  starting | PANIC:  \
             could not write to file: No space left on device"
        );
        assert!(exited("FATAL:  x: Permission denied").contains("; run Meikan as the user who owns it"));
        assert!(exited("FATAL:  anything else").contains("; see what it said: LOG:"));
    }
}
