//! Under whose identity Postgres runs. It refuses root, and `initdb` refuses a user without an entry in `/etc/passwd`.
//!
//! An ordinary user runs it as itself. Root runs it in a user namespace, in which root's id is mapped to another one:
//! the files stay root's, also below `/root`, where no other user could enter. Where namespaces are forbidden (Docker's
//! default) root runs it as another user, who gets the folder. The owner of the folder decides from then on.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::geteuid;
use tracing::info;

use super::EmbeddedError;
use super::command::finish;
use super::find::Binaries;

/// The users that are preferred when root needs another one; `nobody` exists everywhere.
const OTHER_USERS: [&str; 2] = ["postgres", "nobody"];
/// The longest that a trial of an identity may take.
const TRIAL_LIMIT_S: u64 = 20;

/// Who runs Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// The user of this process.
    Own,
    /// The user of this process, under this name inside a user namespace.
    Namespace(User),
    /// Another user; only root can do this.
    Other(User),
}

/// A user and its group, by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    uid: u32,
    gid: u32,
}

impl Identity {
    /// Chooses, proves by a trial that the identity can enter `home` and run the binaries, and hands over what it holds.
    pub(super) fn choose(home: &Path, binaries: &Binaries) -> Result<Self, EmbeddedError> {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let own_uid = geteuid().as_raw();
        let owner = fs::metadata(home).map_err(EmbeddedError::io("look at", home))?;
        let candidates = candidates(own_uid, User { uid: owner.uid(), gid: owner.gid() }, &passwd);
        let mut tried = Vec::new();
        for identity in candidates {
            match identity.trial(home, binaries) {
                Ok(()) => {
                    identity.hand_over_all(home)?;
                    if identity != Self::Own {
                        info!(?identity, "Postgres refuses this user: it runs under another identity");
                    }
                    return Ok(identity);
                }
                Err(problem) => tried.push(problem),
            }
        }
        Err(EmbeddedError::Root { tried })
    }

    /// A command that will run `program` under this identity, and nothing of the caller's Postgres settings with it.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Self::Own => Command::new(program),
            Self::Namespace(User { uid, gid }) => {
                let mut command = Command::new("unshare");
                command.args(["--user", &format!("--map-user={uid}"), &format!("--map-group={gid}"), "--"]);
                command.arg(program);
                command
            }
            Self::Other(User { uid, gid }) => {
                let mut command = Command::new(program);
                // The standard library clears the supplementary groups with the change of user.
                command.uid(uid).gid(gid);
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            // PGDATA, PGPORT, PGOPTIONS and their kin are meant for other servers.
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        // Messages in English, for those who search for them.
        command.env("LC_ALL", "C").env_remove("LANGUAGE");
        command
    }

    /// Gives a file or folder that this process made to the identity, so that Postgres accepts it as its own.
    pub(super) fn hand_over(self, path: &Path) -> Result<(), EmbeddedError> {
        match self {
            Self::Own | Self::Namespace(_) => Ok(()),
            Self::Other(user) => give(path, user).map_err(EmbeddedError::io("give away", path)),
        }
    }

    /// Hands over a folder with all that is in it: a cluster that root made in a namespace may be moved to where there
    /// are none.
    fn hand_over_all(self, folder: &Path) -> Result<(), EmbeddedError> {
        self.hand_over(folder)?;
        let Self::Other(User { uid, .. }) = self else { return Ok(()) };
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(EmbeddedError::io("list", &folder))? {
                let path = entry.map_err(EmbeddedError::io("list", &folder))?.path();
                let metadata = fs::symlink_metadata(&path).map_err(EmbeddedError::io("look at", &path))?;
                if metadata.uid() != uid {
                    self.hand_over(&path)?;
                }
                if metadata.is_dir() {
                    folders.push(path);
                }
            }
        }
        Ok(())
    }

    /// The user who owns, on disk, what the identity makes.
    pub(super) fn owner_uid(self) -> u32 {
        match self {
            Self::Own | Self::Namespace(_) => geteuid().as_raw(),
            Self::Other(User { uid, .. }) => uid,
        }
    }

    /// Runs `initdb --version` in `home`. An ordinary user needs no trial: what it cannot do, `initdb` will say.
    fn trial(self, home: &Path, binaries: &Binaries) -> Result<(), String> {
        match self {
            Self::Own => Ok(()),
            Self::Namespace(_) => {
                self.version_in(home, binaries).map_err(|problem| format!("a namespace by `unshare --user`: {problem}"))
            }
            Self::Other(user) => {
                let given = self.hand_over(home).map_err(|error| error.to_string());
                given.and_then(|()| self.version_in(home, binaries)).map_err(|problem| {
                    // Back to root: the owner of the folder decides at the next start.
                    let _ = give(home, User { uid: 0, gid: 0 });
                    let program = binaries.initdb();
                    format!("user {} in {} with {}: {problem}", user.uid, home.display(), program.display())
                })
            }
        }
    }

    fn version_in(self, home: &Path, binaries: &Binaries) -> Result<(), String> {
        let mut command = self.command(&binaries.initdb());
        command.arg("--version").current_dir(home);
        match finish(command, "", Duration::from_secs(TRIAL_LIMIT_S)) {
            Ok(finished) if finished.status.success() => Ok(()),
            Ok(finished) => Err(finished.last_lines(1).join("")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err("there is no such program".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn give(path: &Path, User { uid, gid }: User) -> io::Result<()> {
    lchown(path, Some(uid), Some(gid))
}

/// The identities that may do, best first. The cases:
/// an ordinary user known to the system; one who is not (a container with an invented id); root in a folder of its own;
/// root in a folder that belongs to somebody (handed over by an earlier start, or another user's data).
fn candidates(own_uid: u32, home_owner: User, passwd: &str) -> Vec<Identity> {
    let users = users(passwd);
    let named =
        OTHER_USERS.iter().filter_map(|name| users.iter().find(|(known, _)| known == name)).map(|(_, user)| *user);
    let others: Vec<User> = named.filter(|user| user.uid != 0).collect();
    let namespace = others.last().map(|user| Identity::Namespace(*user));
    if own_uid != 0 {
        let known = users.iter().any(|(_, user)| user.uid == own_uid);
        return namespace.filter(|_| !known).into_iter().chain([Identity::Own]).collect();
    }
    if home_owner.uid != 0 {
        return vec![Identity::Other(home_owner)];
    }
    namespace.into_iter().chain(others.into_iter().map(Identity::Other)).collect()
}

/// Names and ids of an `/etc/passwd`; lines that make no sense are left out.
fn users(passwd: &str) -> Vec<(&str, User)> {
    let parse = |line| {
        let mut fields = str::split(line, ':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((name, User { uid, gid }))
    };
    passwd.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::{Identity, User, candidates};

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# no user\npostgres:x:101:102::/:/bin/sh\n\
                          nobody:x:65534:65533::/:/bin/false\nanna:x:1000:1000::/home/anna:/bin/sh\n";
    const ROOT: User = User { uid: 0, gid: 0 };
    const POSTGRES: User = User { uid: 101, gid: 102 };
    const NOBODY: User = User { uid: 65534, gid: 65533 };
    const ANNA: User = User { uid: 1000, gid: 1000 };

    #[test]
    fn an_ordinary_user_runs_it_as_itself() {
        assert_eq!(candidates(1000, ANNA, PASSWD), [Identity::Own]);
    }

    #[test]
    fn a_user_without_an_entry_needs_a_namespace_to_have_a_name() {
        let invented = User { uid: 12345, gid: 0 };
        assert_eq!(candidates(12345, invented, PASSWD), [Identity::Namespace(NOBODY), Identity::Own]);
    }

    #[test]
    fn root_takes_a_namespace_or_else_another_user() {
        let expected = [Identity::Namespace(NOBODY), Identity::Other(POSTGRES), Identity::Other(NOBODY)];
        assert_eq!(candidates(0, ROOT, PASSWD), expected);
    }

    #[test]
    fn root_in_the_folder_of_another_user_becomes_that_user() {
        assert_eq!(candidates(0, ANNA, PASSWD), [Identity::Other(ANNA)]);
    }

    #[test]
    fn without_any_other_user_root_has_no_identity() {
        assert_eq!(candidates(0, ROOT, "root:x:0:0:root:/root:/bin/sh\n"), []);
    }
}
