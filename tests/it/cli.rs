//! The commands as an operator meets them: help, each mistake with its sentence and exit code, and two processes on one
//! database.

use std::time::Instant;

use meikan::embedded::{Durability, Embedded, Options};
use rustix::process::Signal;

use crate::support::fake_chain::FakeChain;
use crate::support::folder::Folder;
use crate::support::postgres::{self, TestDatabase, connect};
use crate::support::program::{CHAIN_ID, Meikan, PATIENCE, config, dead_address, meikan, meikan_on_terminal};
use crate::support::tcp_postgres::TcpPostgres;

pub(crate) const USAGE: i32 = 2;
pub(crate) const DATABASE: i32 = 3;
pub(crate) const CHAIN: i32 = 4;

const COMMANDS: [&str; 10] =
    ["run", "follow", "serve", "reindex", "migrate", "audit", "check", "schema", "key", "demo"];

/// Runs it to its end, which must be a refusal with that code, nothing on standard output and one sentence that says
/// all of that.
pub(crate) async fn refused(program: Meikan, code: i32, said: &[&str]) {
    let ended = program.end().await;
    let sentence = ended.sentence();
    assert_eq!(ended.code, Some(code), "{sentence}");
    assert_eq!(ended.stdout, "", "{sentence}");
    for words in said {
        assert!(sentence.contains(words), "{words:?} is missing: {sentence}");
    }
    for noise in ["Error {", "Error(", "Some(", "stack backtrace", "RUST_BACKTRACE"] {
        assert!(!sentence.contains(noise), "{sentence}");
    }
}

/// A chain of that many empty blocks above genesis.
fn quiet_chain(blocks: u64) -> FakeChain {
    let chain = FakeChain::new(CHAIN_ID);
    chain.mine_empty(blocks);
    chain
}

#[tokio::test]
async fn a_mistyped_command_line_is_refused() {
    for (arguments, said) in [
        (&[][..], "no command is given"),
        (&["runn"], "'run'"),
        (&["run", "--untill", "head"], "--untill"),
        (&["follow", "--until", "tip"], "neither a block number nor `head`"),
        (&["follow", "--until", "-1"], "-1"),
        (&["follow", "--until", "99999999999999999999"], "99999999999999999999"),
        (&["serve", "--listen", "nonsense"], "nonsense"),
        (&["serve", "--listen", "127.0.0.1"], "127.0.0.1"),
        (&["serve", "--log-format", "xml"], "xml"),
        (&["demo", "--for", "soon"], "soon"),
        (&["check", "--config"], "--config"),
    ] {
        refused(meikan(arguments), USAGE, &[said, "meikan --help"]).await;
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_followed_is_refused() {
    let good = config(&["http://127.0.0.1:1"]);
    let registry = crate::support::program::REGISTRY;
    for (text, said) in [
        (good.replace("poll_interval_ms", "pol_interval_ms"), &["meikan.toml", "line ", "pol_interval_ms"][..]),
        (good.replace("chain_id = 167000", "chain_id = \"taiko\""), &["line ", "\"taiko\""]),
        (good.replace(registry, "0x8004"), &["line ", "\"0x8004\" is not an address; one looks like"]),
        (good.replace("e539a432", "e539a433"), &["wrong checksum", "mistyped digit"]),
        (good.replace("http://", "ftp://"), &["does not begin with http://"]),
        (good.replace("poll_interval_ms = 50", "poll_interval_ms = 0"), &["poll_interval_ms is 0"]),
        (good.replace("identity", "#"), &["watches no contract; fill [network.contracts]"]),
        (String::new(), &["no network is configured; add a [[network]]"]),
        ("= toml?".into(), &["meikan.toml", "line 1"]),
    ] {
        for command in ["run", "follow", "serve", "migrate", "check"] {
            refused(meikan(&[command]).config(&text), USAGE, said).await;
        }
    }
    refused(meikan(&["run", "--config", "no-such.toml"]), USAGE, &["no-such.toml", "--config"]).await;
    refused(meikan(&["run", "--database-url-file", "no-such"]), USAGE, &["the secret in no-such"]).await;
    refused(meikan(&["run", "--rpc-url", "localhost:8545"]), USAGE, &["does not begin with http://"]).await;
}

#[tokio::test]
async fn a_port_in_use_is_refused_before_anything_is_touched() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["run", "serve", "demo"] {
        let program = meikan(&[command, "--listen", &address]);
        refused(program, USAGE, &[&address, "is in use by another program", "--listen"]).await;
    }
    let elsewhere = meikan(&["serve", "--listen", "192.0.2.1:80"]);
    refused(elsewhere, USAGE, &["cannot listen at 192.0.2.1:80", "--listen"]).await;
}

#[tokio::test]
async fn a_chain_that_cannot_be_followed_is_refused() {
    let database = TestDatabase::create().await;
    let other = FakeChain::new(1);
    let dead = format!("http://{}", dead_address());
    for (urls, said) in [
        (vec![other.url()], &["answers chain id 1 where 167000 is configured", "correct chain_id or rpc_urls"][..]),
        (vec![dead.clone()], &[dead.as_str(), "check rpc_urls"]),
        (vec![dead.clone(), format!("ws://{}", dead_address())], &["none of 2 endpoint(s)", "check rpc_urls"]),
    ] {
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        for command in ["run", "follow"] {
            refused(meikan(&[command]).config(&config(&urls)).database(database.url()), CHAIN, said).await;
        }
    }
}

#[tokio::test]
async fn f42_one_endpoint_that_is_down_is_named_and_left_out() {
    let (database, chain, dead) = (TestDatabase::create().await, quiet_chain(3), dead_address());
    let urls = [format!("http://{dead}"), chain.url()];
    let ended = meikan(&["follow", "--until", "head"])
        .config(&config(&urls.each_ref().map(String::as_str)))
        .database(database.url())
        .end()
        .await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stderr.lines().any(|line| line.contains("WARN") && line.contains(&dead)), "{ended:#?}");
}

#[tokio::test]
async fn f31_another_chain_behind_the_same_id_is_refused() {
    let (database, chain, impostor) = (TestDatabase::create().await, quiet_chain(3), FakeChain::new(1));
    impostor.endpoint().claim_chain(CHAIN_ID);
    let follow = |url: String| meikan(&["follow", "--until", "head"]).config(&config(&[&url])).database(database.url());
    assert_eq!(follow(chain.url()).end().await.code, Some(0));
    refused(follow(impostor.url()), DATABASE, &["it is another chain", "check rpc_urls, or use another database"])
        .await;
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused() {
    let server = TcpPostgres::start(&postgres::bin_dir(), "right-word").await;
    let dead = dead_address();
    for (url, said) in [
        (format!("postgres://u:word@{dead}/db"), &[dead.as_str(), "check the URL and the server"][..]),
        (
            server.url_with_password("wrong-word"),
            &["password authentication failed", "check user and password in the URL"],
        ),
        (server.url().replace("/postgres", "/nowhere"), &["\"nowhere\" does not exist", "create it"]),
        ("mysql://u:word@host/db".into(), &["does not begin with postgres://"]),
        ("postgres://u:word@host/db?sslmode=maybe".into(), &["sslmode is none of"]),
    ] {
        for command in ["run", "follow", "serve", "migrate"] {
            let program = meikan(&[command]).config(&config(&["http://127.0.0.1:1"])).database(&url);
            refused(program, DATABASE, said).await;
        }
    }
}

#[tokio::test]
async fn a_database_or_chain_that_never_answers_is_refused_in_time() {
    // Connections are taken by the kernel, and nobody ever speaks.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u:word@{}/db", silent.local_addr().unwrap());
    let text = format!("[database]\nacquire_timeout_ms = 300\n{}", config(&["http://127.0.0.1:1"]));
    refused(meikan(&["serve"]).config(&text).database(&url), DATABASE, &["did not answer in 300 ms"]).await;
    let database = TestDatabase::create().await;
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let text = format!("{}request_deadline_ms = 300\n", config(&[&endpoint]));
    refused(meikan(&["follow"]).config(&text).database(database.url()), CHAIN, &[&endpoint, "no answer within"]).await;
}

#[tokio::test]
async fn an_edited_and_a_newer_schema_are_refused() {
    let database = TestDatabase::create().await;
    let on = |command: &str| meikan(&[command]).config(&config(&["http://127.0.0.1:1"])).database(database.url());
    refused(on("serve"), DATABASE, &["run `meikan migrate` first"]).await;
    assert_eq!(on("migrate").end().await.code, Some(0));
    let client = connect(database.url()).await;
    let newer = "INSERT INTO schema_migration (number, name, sha256) VALUES (9999, '9999_later', '')";
    client.batch_execute(newer).await.unwrap();
    for command in ["run", "follow", "serve", "migrate"] {
        refused(on(command), DATABASE, &["is at migration 9999", "run a newer version of it"]).await;
    }
    let edited =
        "DELETE FROM schema_migration WHERE number = 9999; UPDATE schema_migration SET sha256 = '' WHERE number = 1";
    client.batch_execute(edited).await.unwrap();
    for command in ["run", "follow", "serve", "migrate"] {
        refused(on(command), DATABASE, &["migration 1 (0001_chain)", "restore the file"]).await;
    }
}

#[tokio::test]
async fn an_embedded_postgres_in_use_or_not_there_is_refused() {
    let folder = Folder::new();
    let options = Options {
        data_dir: folder.path().join("data"),
        bin_dir: Some(postgres::bin_dir()),
        durability: Durability::Fast,
    };
    let embedded = Embedded::start(&options).await.unwrap();
    let data_dir = options.data_dir.to_str().unwrap();
    refused(meikan(&["migrate", "--data-dir", data_dir]), DATABASE, &[data_dir, "--data-dir"]).await;
    embedded.stop().await;
    let nowhere = meikan(&["migrate"]).env("MEIKAN_POSTGRES_BIN", "/nowhere");
    refused(nowhere, DATABASE, &["/nowhere"]).await;
}

#[tokio::test]
async fn a_log_filter_that_is_none_is_told_and_left_out() {
    let database = TestDatabase::create().await;
    let migrate = |filter: &str| {
        let program = meikan(&["migrate", "--log-format", "json"]).config(&config(&["http://127.0.0.1:1"]));
        program.database(database.url()).env("RUST_LOG", filter).end()
    };
    let ended = migrate("meikan=loud").await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stderr.contains("RUST_LOG is not valid and is not used"), "{ended:#?}");
    for line in ended.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    assert_eq!(migrate("").await.stderr, "", "a variable that is set to nothing is none");
}

#[tokio::test]
async fn secrets_may_come_from_files() {
    let (database, chain, folder) = (TestDatabase::create().await, quiet_chain(2), Folder::new());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path
    };
    let ended = meikan(&["follow", "--until", "head"])
        .config(&config(&["http://127.0.0.1:1"]))
        .env("DATABASE_URL_FILE", file("database", database.url()))
        .env("MEIKAN_RPC_URL_FILE", file("endpoints", &chain.url()))
        .end()
        .await;
    assert_eq!((ended.code, tip_of(&database).await), (Some(0), Some(2)), "{ended:#?}");
}

#[tokio::test]
async fn help_teaches_every_command_and_flag() {
    let general = meikan(&["--help"]).end().await;
    assert_eq!((general.code, general.stderr.as_str()), (Some(0), ""));
    for command in COMMANDS {
        let listed = general.stdout.lines().find(|line| line.trim_start().starts_with(&format!("{command} ")));
        assert!(listed.is_some_and(|line| line.trim().len() > command.len() + 15), "{command}: {}", general.stdout);
        let help = meikan(&[command, "--help"]).end().await;
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{command}");
        for word in ["--config", "--database-url", "--data-dir", "--rpc-url", "--listen", "--log-format", "RUST_LOG"] {
            assert!(help.stdout.contains(word), "{command}: {}", help.stdout);
        }
        let flags = help.stdout.matches("  --").count();
        assert!(
            help.stdout.matches("[env: ").count() >= flags - 1,
            "a flag of {command} has no variable: {}",
            help.stdout
        );
    }
    for (command, word) in [
        ("run", "--until"),
        ("follow", "--until"),
        ("demo", "--for"),
        ("demo", "--reorgs"),
        ("reindex", "--from-block"),
        ("reindex", "--dry-run"),
    ] {
        let help = meikan(&[command, "--help"]).end().await.stdout;
        assert!(help.contains(word), "{command}: {help}");
    }
    let version = meikan(&["--version"]).end().await;
    assert_eq!((version.code, version.stdout.trim()), (Some(0), concat!("meikan ", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn help_never_shows_a_secret_of_the_environment() {
    let help = meikan(&["run", "--help"])
        .database("postgres://u:sesame@db/name")
        .env("DATABASE_READ_URL", "postgres://u:sesame@db/name")
        .env("MEIKAN_RPC_URL", "https://rpc/sesame");
    assert!(!help.end().await.stdout.contains("sesame"));
}

#[tokio::test]
async fn the_schema_is_the_committed_one() {
    let printed = meikan(&["schema"]).end().await;
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).unwrap();
    assert_eq!(printed.stdout, committed, "write it anew with: meikan schema > schema.graphql");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let line = format!("set -o pipefail; '{}' schema | head -n 1", env!("CARGO_BIN_EXE_meikan"));
    let piped = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
    assert!(piped.status.success() && piped.stderr.is_empty(), "{piped:?}");
}

#[tokio::test]
async fn migrating_twice_changes_nothing_the_second_time() {
    let database = TestDatabase::create().await;
    let migrate = || meikan(&["migrate"]).config(&config(&["http://127.0.0.1:1"])).database(database.url()).end();
    let (first, second) = (migrate().await, migrate().await);
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{first:#?} {second:#?}");
    assert!(!first.stdout.contains("(0 migrations applied now)"), "{first:?}");
    assert!(second.stdout.contains("up to date (0 migrations applied now)"), "{second:?}");
}

#[tokio::test]
async fn a_check_of_a_good_setup_finds_nothing() {
    let (database, chain) = (TestDatabase::create().await, quiet_chain(3));
    chain.deploy(crate::support::program::REGISTRY.parse().unwrap());
    let check = || meikan(&["check"]).config(&config(&[&chain.url()])).database(database.url()).end();
    let before = check().await;
    assert_eq!(before.code, Some(0), "{before:#?}");
    assert!(before.stdout.contains("not up to date; run and follow bring it there"), "{}", before.stdout);
    let migrated = meikan(&["migrate"]).config(&config(&[&chain.url()])).database(database.url()).end().await;
    assert_eq!(migrated.code, Some(0));
    let ended = check().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:#?}");
    for line in [
        "configuration",
        "its schema is up to date",
        "primary endpoint",
        "chain 167000, block 3; does not tell what is final",
        "is a contract",
    ] {
        assert!(ended.stdout.lines().any(|said| said.starts_with("ok ") && said.contains(line)), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn a_check_of_a_half_broken_setup_says_which_half() {
    let (chain, other, dead) = (quiet_chain(3), FakeChain::new(1), dead_address());
    let urls = [chain.url(), format!("http://{dead}"), other.url()];
    let text = config(&urls.each_ref().map(String::as_str));
    let ended = meikan(&["check"]).config(&text).database(&format!("postgres://u@{dead}/db")).end().await;
    assert_eq!(ended.code, Some(DATABASE), "{ended:#?}");
    let line = |words: &str| ended.stdout.lines().find(|line| line.contains(words)).unwrap_or_default();
    assert!(line("database").starts_with("failed ") && line("database").contains("check the URL"), "{ended:#?}");
    assert!(line("primary endpoint").starts_with("ok "), "{ended:#?}");
    assert!(line(&format!("primary endpoint http://{dead}")).starts_with("failed "), "{ended:#?}");
    assert!(line("answers chain id 1").starts_with("failed "), "{ended:#?}");
    assert!(line("has no code yet").starts_with("ok "), "{ended:#?}");
    let database = TestDatabase::create().await;
    let ended = meikan(&["check"]).config(&text).database(database.url()).end().await;
    assert_eq!(ended.code, Some(CHAIN), "{ended:#?}");
}

#[tokio::test]
async fn f43_a_check_prints_the_role_of_each_endpoint() {
    let (database, chain) = (TestDatabase::create().await, quiet_chain(3));
    let (second, spare) = (chain.another_endpoint(), chain.another_endpoint());
    let fallback = format!("fallback_rpc_urls = [\"{}/key\", \"{}/other-key\"]\nrpc_urls = ", spare.url(), spare.url());
    let text = config(&[&chain.url(), &second.url()]).replacen("rpc_urls = ", &fallback, 1);
    let ended = meikan(&["check"]).config(&text).database(database.url()).end().await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for (role, url) in [
        ("primary", chain.url()),
        ("primary", second.url()),
        ("fallback", format!("{}/…", spare.url())),
        ("fallback", format!("{}/… (2)", spare.url())),
    ] {
        let line = format!("ok      test {role} endpoint {url}: ");
        assert!(ended.stdout.lines().any(|said| said.starts_with(&line)), "{line}: {}", ended.stdout);
    }
}

#[tokio::test]
async fn following_ends_once_the_wanted_block_is_committed() {
    let (database, chain) = (TestDatabase::create().await, quiet_chain(30));
    let text = config(&[&chain.url()]);
    let tip = || async { tip_of(&database).await };
    let until =
        |command: &str, block: &str| meikan(&[command, "--until", block]).config(&text).database(database.url());
    let ended = until("follow", "head").end().await;
    assert_eq!((ended.code, tip().await), (Some(0), Some(30)), "{ended:#?}");
    let mut waiting = until("follow", "35").start();
    waiting.logged("following the chain").await;
    chain.mine_empty(5);
    let ended = waiting.end().await;
    assert_eq!((ended.code, tip().await), (Some(0), Some(35)), "{ended:#?}");
    assert!(ended.stderr.contains("the wanted block is committed"), "{ended:#?}");
    chain.mine_empty(5);
    let ended = until("run", "head").end().await;
    assert_eq!((ended.code, tip().await), (Some(0), Some(40)), "{ended:#?}");
    assert_eq!(until("follow", "7").end().await.code, Some(0), "what is committed is not waited for");
}

async fn tip_of(database: &TestDatabase) -> Option<i64> {
    // Before the migrations there is no table.
    connect(database.url()).await.query_one("SELECT max(tip_number) FROM cursor", &[]).await.ok()?.get(0)
}

async fn until_tip(database: &TestDatabase, wanted: i64) {
    let deadline = Instant::now() + PATIENCE;
    while tip_of(database).await < Some(wanted) {
        assert!(Instant::now() < deadline, "block {wanted} is never committed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn f55_a_second_follower_stands_by_and_takes_over() {
    let (database, chain) = (TestDatabase::create().await, quiet_chain(5));
    let follow = || meikan(&["follow"]).config(&config(&[&chain.url()])).database(database.url()).start();
    let first = follow();
    until_tip(&database, 5).await;
    let mut second = follow();
    second.logged("standing by").await;
    chain.mine_empty(2);
    until_tip(&database, 7).await;
    first.signal(Signal::KILL);
    first.end().await;
    chain.mine_empty(3);
    until_tip(&database, 10).await;
    second.signal(Signal::TERM);
    assert_eq!(second.end().await.code, Some(143));
}

#[tokio::test]
async fn one_process_follows_and_another_serves() {
    let (database, chain) = (TestDatabase::create().await, quiet_chain(5));
    let start = |command: &str| meikan(&[command]).config(&config(&[&chain.url()])).database(database.url()).start();
    let follower = start("follow");
    until_tip(&database, 5).await;
    let mut server = start("serve");
    let site = server.site().await;
    site.indexed(5).await;
    chain.mine_empty(4);
    site.indexed(9).await;
    site.until("/ready", |answer| answer.status == 200).await;
    for running in [follower, server] {
        running.signal(Signal::TERM);
        assert_eq!(running.end().await.code, Some(143));
    }
}

#[tokio::test]
async fn a_backfill_tells_its_rate_and_the_time_that_is_left() {
    let (database, chain) = (TestDatabase::create().await, quiet_chain(2_000));
    let text = format!("{}max_range_blocks = 400\n", config(&[&chain.url()]));
    let ended = meikan(&["follow", "--until", "head"]).config(&text).database(database.url()).end().await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let line = ended.stderr.lines().find(|line| line.contains("backfilling")).expect("a line of progress");
    for word in ["head=2000", "blocks_per_second=", "remaining="] {
        assert!(line.contains(word), "{line}");
    }
    assert!(ended.stderr.contains("backfill done"), "{}", ended.stderr);
    assert!(!ended.stderr.contains('\u{1b}'), "no terminal, no control characters: {}", ended.stderr);
}

#[tokio::test]
async fn a_backfill_on_a_terminal_shows_a_bar() {
    let (database, chain) = (TestDatabase::create().await, quiet_chain(2_000));
    let text = format!("{}max_range_blocks = 400\n", config(&[&chain.url()]));
    let ended = meikan_on_terminal(&["follow", "--until", "head"]).config(&text).database(database.url()).end().await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains('█') && ended.stdout.contains("/2001 blocks"), "{ended:#?}");
    assert!(!ended.stdout.contains("backfilling"), "a bar stands for the lines: {ended:#?}");
}
