//! What the stories of operators share: a chain, a node that follows it, its orderly end, and its metrics as numbers.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256};
use meikan::event::{Event, IdentityEvent};
use rustix::process::Signal;

use crate::support::fake_chain::{FakeChain, RawLog};
use crate::support::folder::Folder;
use crate::support::postgres::TestDatabase;
use crate::support::program::{CHAIN_ID, Ended, Meikan, REGISTRY, Running, Site, config, meikan};

/// Longest time that an orderly end may take: the promised 5 s, and as much again for a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Times that any request is spoiled: more than a node sends in a test.
pub(crate) const ALWAYS: usize = 1_000_000;

pub(crate) fn registered(agent_id: u64) -> RawLog {
    let event = IdentityEvent::Registered {
        agent_id: U256::from(agent_id),
        agent_uri: format!("ipfs://{agent_id}").as_str().into(),
        owner: Address::repeat_byte(1),
    };
    (REGISTRY.parse::<Address>().unwrap(), Event::Identity(event)).into()
}

/// A chain of that many blocks above genesis, each with one registration.
pub(crate) fn busy_chain(blocks: u64) -> FakeChain {
    let chain = FakeChain::new(CHAIN_ID);
    for agent_id in 0..blocks {
        chain.mine([registered(agent_id)]);
    }
    chain
}

/// A node that follows and serves.
pub(crate) fn node(chain: &FakeChain, database: &TestDatabase) -> Meikan {
    meikan(&["run"]).config(&config(&[&chain.url()])).database(database.url())
}

/// Asks it to end; it must, in time and with that code.
pub(crate) async fn ends(running: Running, signal: Signal, code: i32) -> Ended {
    let asked = Instant::now();
    running.signal(signal);
    let ended = running.end().await;
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert!(asked.elapsed() < STOP_LIMIT, "it took {:?}: {ended:#?}", asked.elapsed());
    ended
}

pub(crate) async fn agents(site: &Site) -> usize {
    site.ask("{ agents(first: 1000) { id } }").await.json()["data"]["agents"].as_array().expect("agents").len()
}

/// The process id of the server in a data directory.
pub(crate) fn postmaster(folder: &Folder) -> i32 {
    let path = folder.path().join("meikan-data/postgres/cluster/postmaster.pid");
    std::fs::read_to_string(path).unwrap().lines().next().unwrap().trim().parse().unwrap()
}

/// A metric's values with their labels, from the text of `/metrics`.
pub(crate) fn samples<'a>(text: &'a str, name: &str) -> Vec<(&'a str, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let parsed = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let (series_name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("labels end nowhere: {line}"));
        (series_name, labels, value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
    });
    // Every line is parsed, whichever is wanted.
    let parsed: Vec<(&str, &str, f64)> = parsed.collect();
    parsed.into_iter().filter(|(found, ..)| *found == name).map(|(_, labels, value)| (labels, value)).collect()
}

pub(crate) fn sum(text: &str, name: &str, label: &str) -> f64 {
    let wanted = samples(text, name);
    wanted.into_iter().filter(|(labels, _)| labels.contains(label)).map(|(_, value)| value).sum()
}
