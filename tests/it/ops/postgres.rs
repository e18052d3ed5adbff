//! Databases: every Postgres that is supported, those that die or go away, and TLS.

use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

use super::support::{agents, busy_chain, ends, postmaster, registered};
use crate::support::postgres::{self, connect};
use crate::support::program::{config, meikan};
use crate::support::tcp_postgres::{Authority, TcpPostgres};

#[tokio::test]
async fn a_postgres_that_dies_ends_the_node_with_a_sentence() {
    let chain = busy_chain(3);
    let mut running = meikan(&["run"]).config(&config(&[&chain.url()])).start();
    let site = running.site().await;
    site.indexed(3).await;
    kill_process(Pid::from_raw(postmaster(running.folder())).unwrap(), Signal::KILL).unwrap();
    let ended = running.end().await;
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert!(ended.sentence().contains("Postgres"), "{ended:#?}");
}

#[tokio::test]
async fn f59_a_node_outlives_its_database() {
    let mut server = TcpPostgres::start(&postgres::bin_dir(), "word").await;
    let chain = busy_chain(5);
    let text = config(&[&chain.url()]).replace("[api]", "[database]\nacquire_timeout_ms = 500\n[api]");
    let mut running = meikan(&["run"]).config(&text).database(&server.url()).start();
    let site = running.site().await;
    site.indexed(5).await;
    for round in 1..=2 {
        server.stop();
        chain.mine([registered(100 + round)]);
        site.until("/ready", |answer| answer.body.contains("the database does not answer")).await;
        assert!(site.ask("{ agents { id } }").await.body.contains("UNAVAILABLE"));
        server.resume().await;
        site.indexed(5 + round).await;
        site.until("/ready", |answer| answer.status == 200).await;
        assert_eq!(agents(&site).await as u64, 5 + round, "no gap and no double");
    }
    ends(running, Signal::TERM, 143).await;
}

/// Every Postgres on this machine: those of the system, and the package's.
fn every_postgres() -> Vec<PathBuf> {
    let system = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = system.map(|entry| entry.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file());
    found.push(postgres::bin_dir());
    found
}

#[tokio::test]
async fn every_supported_postgres_on_the_machine_is_followed_into() {
    let chain = busy_chain(40);
    chain.finalize(20);
    for bin_dir in every_postgres() {
        let server = TcpPostgres::start(&bin_dir, "word").await;
        let follow =
            || meikan(&["follow", "--until", "head"]).config(&config(&[&chain.url()])).database(&server.url()).end();
        let ended = follow().await;
        assert_eq!(ended.code, Some(0), "Postgres {}: {ended:#?}", server.major());
        let client = connect(&server.url()).await;
        let agents = client.query_one("SELECT count(*) FROM agent", &[]).await.unwrap().get::<_, i64>(0);
        assert_eq!(agents, 40, "Postgres {}", server.major());
        let mut serving = meikan(&["serve"]).config(&config(&[&chain.url()])).database(&server.url()).start();
        let site = serving.site().await;
        assert_eq!(self::agents(&site).await, 40, "Postgres {}", server.major());
        ends(serving, Signal::TERM, 143).await;
    }
}

#[tokio::test]
async fn a_database_over_tls_is_verified() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let root = |authority: &Authority| format!("sslrootcert={}", authority.certificate().display());
    for bin_dir in every_postgres() {
        let server = TcpPostgres::start_with_tls(&bin_dir, "word", &authority, "localhost").await;
        let migrate = |url: String| meikan(&["migrate"]).config(&config(&["http://127.0.0.1:1"])).database(&url).end();
        for (host, parameters) in [
            ("localhost", format!("sslmode=verify-full&{}", root(&authority))),
            ("127.0.0.1", format!("sslmode=verify-ca&{}", root(&authority))),
            ("127.0.0.1", "sslmode=require".into()),
            ("127.0.0.1", "sslmode=prefer".into()),
            ("127.0.0.1", "sslmode=disable".into()),
        ] {
            let ended = migrate(server.url_with(host, &parameters)).await;
            assert_eq!(ended.code, Some(0), "Postgres {} {parameters}: {ended:#?}", server.major());
        }
        for (host, parameters, said) in [
            ("127.0.0.1", format!("sslmode=verify-full&{}", root(&authority)), "not valid for name"),
            ("localhost", format!("sslmode=verify-full&{}", root(&stranger)), "sslrootcert"),
            ("localhost", format!("sslmode=verify-ca&{}", root(&stranger)), "sslrootcert"),
            ("localhost", format!("sslmode=require&{}", root(&stranger)), "sslrootcert"),
            ("localhost", "sslmode=verify-full".into(), "sslrootcert"),
            ("localhost", "sslmode=verify-full&sslrootcert=/no/such.pem".into(), "/no/such.pem"),
        ] {
            let ended = migrate(server.url_with(host, &parameters)).await;
            assert_eq!(ended.code, Some(3), "Postgres {} {parameters}: {ended:#?}", server.major());
            assert!(ended.sentence().contains(said), "{parameters}: {}", ended.sentence());
        }
        assert!(encrypted(&server, &authority).await, "Postgres {}", server.major());
    }
}

/// Whether a node that is asked to verify fully talks TLS, as the server sees it.
async fn encrypted(server: &TcpPostgres, authority: &Authority) -> bool {
    let url =
        server.url_with("localhost", &format!("sslmode=verify-full&sslrootcert={}", authority.certificate().display()));
    let mut serving = meikan(&["serve"]).config(&config(&["http://127.0.0.1:1"])).database(&url).start();
    serving.site().await;
    let connections = "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                       WHERE application_name IN ('meikan', 'meikan writer')";
    let row = connect(&server.url()).await.query_one(connections, &[]).await.unwrap();
    ends(serving, Signal::TERM, 143).await;
    let (encrypted, all): (i64, i64) = (row.get(0), row.get(1));
    all > 0 && encrypted == all
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let server = TcpPostgres::start(&postgres::bin_dir(), "word").await;
    for mode in ["require", "verify-ca&sslrootcert=system", "verify-full&sslrootcert=system"] {
        let url = server.url_with("localhost", &format!("sslmode={mode}"));
        let ended = meikan(&["migrate"]).config(&config(&["http://127.0.0.1:1"])).database(&url).end().await;
        assert_eq!(ended.code, Some(3), "{mode}: {ended:#?}");
        let sentence = ended.sentence();
        assert!(sentence.contains("does not support TLS") && sentence.contains("check sslmode"), "{sentence}");
    }
}
