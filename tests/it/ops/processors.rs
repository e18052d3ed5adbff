//! While somebody asks, what is indexed keeps to half of the processors.

use std::collections::BTreeSet;
use std::fs;
use std::thread::available_parallelism;
use std::time::Instant;

use rustix::process::Signal;
use tokio_postgres::Client;

use super::support::{busy_chain, ends, postmaster};
use crate::support::postgres::connect;
use crate::support::program::{PATIENCE, config, meikan};

/// How many processors a thread or process may run on; 0 of one that has ended.
fn processors(thread: &str) -> u32 {
    let status = fs::read_to_string(format!("{thread}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:")).unwrap_or_default();
    mask.chars().filter_map(|digit| digit.to_digit(16)).map(u32::count_ones).sum()
}

/// The threads of a process, by whether they are those that index.
fn threads(process: i32, index: bool) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs").flatten();
    let paths = threads.map(|thread| thread.path().display().to_string());
    let indexes = |path: &String| fs::read_to_string(format!("{path}/comm")).is_ok_and(|name| name == "ingestion\n");
    paths.filter(|path| indexes(path) == index).collect()
}

/// The server's processes of connections with that name.
async fn backends(client: &Client, name: &str) -> Vec<String> {
    let select = "SELECT pid FROM pg_stat_activity WHERE application_name = $1";
    let rows = client.query(select, &[&name]).await.expect("the catalogue can be read");
    rows.iter().map(|row| format!("/proc/{}", row.get::<_, i32>(0))).collect()
}

#[tokio::test]
async fn who_asks_has_processors_to_be_answered_on() {
    let all = processors("/proc/self");
    assert_eq!(all as usize, available_parallelism().expect("Linux tells").get());
    if all < 2 {
        return;
    }
    let chain = busy_chain(5);
    let mut running = meikan(&["run"]).config(&config(&[&chain.url()])).start();
    let (site, process) = (running.site().await, running.pid().as_raw_nonzero().get());
    assert!(postmaster(running.folder()) > 0);
    let socket = running.folder().path().join("meikan-data/postgres/run").display().to_string();
    let client = connect(&format!("postgresql://meikan@{}/meikan", socket.replace('/', "%2F"))).await;
    let counts = async |asking: bool| {
        let deadline = Instant::now() + PATIENCE;
        let expected = BTreeSet::from([if asking { all / 2 } else { all }]);
        loop {
            if asking {
                site.ask("{ _meta { block { number } } }").await;
            }
            let writing = backends(&client, "meikan writer").await;
            let indexing: BTreeSet<u32> =
                threads(process, true).iter().chain(&writing).map(|thread| processors(thread)).collect();
            if !writing.is_empty() && indexing == expected {
                break;
            }
            assert!(Instant::now() < deadline, "{asking}: {indexing:?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let reading = backends(&client, "meikan").await;
        assert!(!reading.is_empty());
        let others = threads(process, false).into_iter().chain(reading).map(|thread| processors(&thread));
        let others: BTreeSet<u32> = others.filter(|count| *count > 0).collect();
        assert_eq!(others, BTreeSet::from([all]), "who answers runs anywhere");
    };
    for asking in [true, false, true] {
        counts(asking).await;
    }
    ends(running, Signal::TERM, 143).await;
}
