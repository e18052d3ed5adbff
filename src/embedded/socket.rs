//! The folder of the server's socket, which only the user who runs it may enter, and the URL that leads there.
//!
//! The folder is `run` beside the cluster. The path of a socket is limited to some hundred bytes by the kernel: a data
//! directory with a longer path gets a folder of its own among the temporary files.

use std::env;
use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::identity::Identity;
use super::{EmbeddedError, Home};

/// Names the socket's file, nothing else: Postgres' own default, so that a URL needs no port.
pub(super) const PORT: u16 = 5432;
/// The longest path of a socket that works on every Unix (macOS; Linux takes four bytes more).
const MAX_SOCKET_PATH_BYTES: usize = 103;

/// The folder, ready for the server.
#[derive(Debug)]
pub(super) struct SocketDir {
    path: PathBuf,
    temporary: bool,
}

impl SocketDir {
    /// Makes the folder, or empties what a crash left in it. Needs the lock, and that no server runs.
    pub(super) fn prepare(home: &Home, identity: &Identity) -> Result<Self, EmbeddedError> {
        let beside = home.path().join("run");
        let folder = if fits(&beside) {
            Self { path: beside, temporary: false }
        } else {
            Self { path: short_path(home.path(), identity.owner_uid()), temporary: true }
        };
        match fs::DirBuilder::new().mode(0o700).create(&folder.path) {
            Ok(()) => identity.hand_over(&folder.path)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => folder.adopt(identity)?,
            Err(error) => return Err(EmbeddedError::io("make the folder", &folder.path)(error)),
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The URL of a database behind this socket, in libpq's form with the folder in the host's place.
    pub(super) fn url(&self, user: &str, database: &str) -> String {
        let mut host = String::new();
        for &byte in self.path.as_os_str().as_bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                host.push(char::from(byte));
            } else {
                write!(host, "%{byte:02X}").expect("a String takes all that is written");
            }
        }
        format!("postgresql://{user}@{host}/{database}")
    }

    /// Leaves nothing among the temporary files.
    pub(super) fn remove(&self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.path);
        }
    }

    /// Makes sure that an existing folder is ours alone, which matters among the temporary files, and removes the
    /// socket of a dead server: its lock file would keep a new one from starting once its process id is reused.
    fn adopt(&self, identity: &Identity) -> Result<(), EmbeddedError> {
        let refuse = |reason| EmbeddedError::Socket { path: self.path.clone(), reason };
        let folder = fs::symlink_metadata(&self.path).map_err(EmbeddedError::io("look at", &self.path))?;
        if !folder.is_dir() {
            return Err(refuse("is not a folder"));
        }
        if folder.uid() != identity.owner_uid() {
            return Err(refuse("belongs to another user"));
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700))
            .map_err(EmbeddedError::io("change the mode of", &self.path))?;
        for name in [format!(".s.PGSQL.{PORT}"), format!(".s.PGSQL.{PORT}.lock")] {
            let file = self.path.join(name);
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(EmbeddedError::io("remove", &file)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a socket in this folder has a path that the kernel takes, and that can be written as an argument.
fn fits(folder: &Path) -> bool {
    let bytes = folder.as_os_str().len() + "/.s.PGSQL.".len() + PORT.to_string().len();
    bytes <= MAX_SOCKET_PATH_BYTES && folder.to_str().is_some_and(|text| !text.contains(char::is_control))
}

/// The same short folder at each start, one for each user and data directory.
fn short_path(home: &Path, uid: u32) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    let name = format!("meikan-{uid}-{:016x}", hasher.finish());
    let wanted = env::temp_dir().join(&name);
    if fits(&wanted) { wanted } else { Path::new("/tmp").join(name) }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{MAX_SOCKET_PATH_BYTES, SocketDir, fits, short_path};

    #[test]
    fn the_url_leads_to_the_socket_whatever_the_folder_is_called() {
        let path = PathBuf::from("/srv/mei kan,é%/run");
        let url = SocketDir { path: path.clone(), temporary: false }.url("meikan", "agents");
        assert_eq!(url, "postgresql://meikan@%2Fsrv%2Fmei%20kan%2C%C3%A9%25%2Frun/agents");
        let config: tokio_postgres::Config = url.parse().expect("tokio-postgres reads it");
        assert_eq!(config.get_hosts(), [tokio_postgres::config::Host::Unix(path)]);
        assert_eq!((config.get_user(), config.get_dbname()), (Some("meikan"), Some("agents")));
    }

    #[test]
    fn the_longest_folder_that_fits_is_taken() {
        let longest = format!("/{}", "x".repeat(MAX_SOCKET_PATH_BYTES - 1 - "/.s.PGSQL.5432".len()));
        assert!(fits(Path::new(&longest)));
        assert!(!fits(Path::new(&format!("{longest}x"))));
        assert!(!fits(Path::new("/two\nlines")));
    }

    #[test]
    fn each_data_directory_has_its_own_short_folder() {
        let [one, again, other] = ["/a", "/a", "/b"].map(|home| short_path(Path::new(home), 7));
        assert_eq!(one, again);
        assert_ne!(one, other);
        assert!(fits(&one));
    }
}
