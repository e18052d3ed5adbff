//! One writer, and nothing by halves: steps that are cut at any point, writers that are cut off, readers that take all
//! there is.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::FutureExt;
use meikan::config::Database;
use meikan::fault::Fault;
use meikan::store::{Batch, Store, StoreError, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::store::chain::{Chain, GENESIS, START, network};
use crate::store::random::Random;
use crate::store::support::{Fixture, follow};
use crate::support::node::{DEADLINE, LOOK_EVERY};
use crate::support::postgres::{bin_dir, connect};
use crate::support::tables::{self, Dump};
use crate::support::tcp_postgres::TcpPostgres;

const CHAIN: u64 = 167_000;

/// Logs up to which a step's rows are not copied.
const FEW_LOGS: usize = 1_000;

/// Most polls that a step takes; one that takes more hangs.
const MAX_POLLS: usize = 2_000;

fn chain_of(blocks: u64, seed: u64) -> Chain {
    let (mut chain, mut random) = (Chain::default(), Random(seed));
    for _ in 0..blocks {
        chain.add(random.logs());
    }
    chain
}

/// Polls a future so many times, then drops it: the end of a process at that point, or of the step.
pub(crate) async fn cut_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// A store on which twelve blocks are indexed, six of them final.
async fn indexed(chain: &Chain) -> (Fixture, Writer) {
    let fixture = Fixture::create().await;
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, chain, None, START + 5, Some(START + 5)).await.unwrap();
    follow(&mut writer, chain, None, START + 11, None).await.unwrap();
    writer.set_reindex_step_logs(4);
    (fixture, writer)
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// It adds a few blocks: many of its statements are under way at once.
    Adds,
    /// It undoes blocks and adds others.
    Reorganises,
    /// It is the first one of a re-index from the store.
    Rederives,
}

/// A reorganisation of the newest blocks.
fn reorganisation(chain: &Chain) -> Batch {
    let mut fork = chain.fork(START + 8, 1);
    let mut random = Random(2);
    for _ in 0..4 {
        fork.add(random.logs());
    }
    Batch {
        expected_tip: Some(chain.block(START + 11)),
        rewind_to: Some(START + 8),
        blocks: fork.between(START + 9, fork.tip()),
        tip: fork.tip_at(fork.tip()),
        finalized: Some(fork.block(START + 7)),
        safe: Some(START + 7),
    }
}

#[tokio::test]
async fn f53_a_step_that_is_cut_at_any_point_commits_cursor_and_data_or_neither() {
    let chain = chain_of(14, 53);
    for work in [Work::Adds, Work::Reorganises, Work::Rederives] {
        let (whole, mut writer) = indexed(&chain).await;
        let before = held(&whole).await;
        step(&mut writer, &chain, work).await.unwrap();
        let after = held(&whole).await;
        assert_ne!(before, after);
        let (fixture, mut writer) = indexed(&chain).await;
        let mut cuts = 0;
        for polls in 0..MAX_POLLS {
            let ended = cut_after(polls, step(&mut writer, &chain, work)).await;
            // The same connection: what was under way on it has ended when this is answered.
            writer.cursor().await.unwrap();
            let found = held(&fixture).await;
            if found == after {
                break;
            }
            assert!(ended.is_none(), "it was not cut, but failed: {ended:?}");
            tables::assert_same(&found, &before);
            cuts += 1;
        }
        assert!(cuts > 10, "{work:?}: it was cut at {cuts} points");
        tables::assert_same(&held(&fixture).await, &after);
    }
}

/// What the tables hold, but for when a re-index began.
async fn held(fixture: &Fixture) -> Dump {
    let mut dump = fixture.dump(CHAIN).await;
    dump.remove("reindex");
    dump
}

/// Ends the statement that begins like this and waits for a lock, as the server does when the time for it is over.
async fn refuse(fixture: &Fixture, beginning: &str) {
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
                  WHERE datname = current_database() AND wait_event_type = 'Lock' AND starts_with(query, $1)";
    while fixture.client.query_one(cancel, &[&beginning]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// After such a COPY the driver is out of step with the server, or ends the connection: nothing but a new one helps.
#[tokio::test]
async fn f59_a_copy_that_the_server_refuses_to_begin_costs_the_connection_and_nothing_else() {
    // So many rows are copied.
    let (mut chain, mut random) = (Chain::default(), Random(59));
    while chain.between(START, chain.tip()).iter().map(|block| block.logs.len()).sum::<usize>() <= 2 * FEW_LOGS {
        chain.add(random.logs());
    }
    let fixture = Fixture::create().await;
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, START + 1, None).await.unwrap();
    let holder = connect(fixture.database.url()).await;
    holder.batch_execute("BEGIN; LOCK TABLE block IN SHARE MODE").await.unwrap();
    let (refused, ()) = tokio::join!(
        follow(&mut writer, &chain, None, chain.tip(), None),
        timeout(DEADLINE, refuse(&fixture, "COPY ")).map(Result::unwrap)
    );
    assert_eq!(refused.unwrap_err().fault(), Fault::Retry);
    holder.batch_execute("ROLLBACK").await.unwrap();
    while let Err(error) = follow(&mut writer, &chain, None, chain.tip(), None).await {
        assert_eq!(error.fault(), Fault::Retry, "{error}");
        if error.spoils_connection() || writer.is_closed() {
            drop(writer);
            writer = fixture.writer_again(CHAIN).await;
        }
    }
    let undisturbed = Fixture::create().await;
    let mut writer = undisturbed.writer(CHAIN).await;
    follow(&mut writer, &chain, None, START + 1, None).await.unwrap();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    tables::assert_same(&fixture.dump(CHAIN).await, &undisturbed.dump(CHAIN).await);
}

/// The server refuses each of those that come after it, for a reason that helps nobody.
#[tokio::test]
async fn f59_of_statements_that_are_under_way_at_once_the_one_that_failed_first_tells_why() {
    let chain = chain_of(4, 59);
    let fixture = Fixture::create().await;
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, chain.tip() - 2, None).await.unwrap();
    let holder = connect(fixture.database.url()).await;
    holder.batch_execute("BEGIN; LOCK TABLE state_digest IN SHARE MODE").await.unwrap();
    let (refused, ()) = tokio::join!(
        follow(&mut writer, &chain, None, chain.tip(), None),
        timeout(DEADLINE, refuse(&fixture, "INSERT INTO state_digest ")).map(Result::unwrap)
    );
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("canceling statement due to user request"), "{refused}");
    assert!(!refused.spoils_connection() && refused.fault() == Fault::Retry, "{refused}");
    holder.batch_execute("ROLLBACK").await.unwrap();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    let undisturbed = Fixture::create().await;
    let mut writer = undisturbed.writer(CHAIN).await;
    follow(&mut writer, &chain, None, chain.tip() - 2, None).await.unwrap();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    tables::assert_same(&fixture.dump(CHAIN).await, &undisturbed.dump(CHAIN).await);
}

async fn step(writer: &mut Writer, chain: &Chain, work: Work) -> Result<(), StoreError> {
    match work {
        Work::Adds => follow(writer, chain, None, START + 13, Some(START + 7)).await.map(|_| ()),
        Work::Reorganises => writer.apply(reorganisation(chain)).await.map(|_| ()),
        Work::Rederives => writer.rederive(START + 2).await.map(|_| ()),
    }
}

#[tokio::test]
async fn f56_readers_that_hold_all_their_connections_do_not_hold_up_the_writer() {
    let fixture = Fixture::create().await;
    let config = Database {
        url: fixture.database.url().into(),
        read_connections: 2,
        acquire_timeout_ms: 100,
        ..Database::default()
    };
    let store = Store::connect(&config).await.unwrap();
    store.register(&network(CHAIN), GENESIS).await.unwrap();
    let held = [store.read().await.unwrap(), store.read().await.unwrap()];
    let busy = store.read().await.expect_err("there is no third");
    assert!(matches!(busy, StoreError::Busy { .. }), "{busy}");
    let chain = chain_of(3, 56);
    let mut writer = store.writer(CHAIN).await.unwrap().expect("nobody else writes");
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    assert_eq!(writer.cursor().await.unwrap().tip.map(|tip| tip.number), Some(chain.tip()));
    drop(held);
    drop(store.read().await.unwrap());
}

/// A way to a server on which a network can be cut: nothing passes any more, and nobody is told.
struct Way {
    url: String,
    is_cut: Arc<AtomicBool>,
}

impl Way {
    async fn to(server: &TcpPostgres) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = server.url();
        let (_, authority) = url.rsplit_once('@').expect("it has a user");
        let address = authority.split('/').next().expect("it has a host").to_owned();
        let url = server.url().replace(&address, &format!("127.0.0.1:{port}"));
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&address).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near_in, far_out, Arc::clone(&cut)));
                tokio::spawn(pass(far_in, near_out, Arc::clone(&cut)));
            }
        });
        Self { url, is_cut }
    }

    fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

/// Passes bytes on while the way is not cut; what comes meanwhile waits.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_cut: Arc<AtomicBool>) {
    let mut bytes = vec![0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        while is_cut.load(Ordering::SeqCst) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn f55_a_writer_behind_a_cut_network_cannot_commit_once_another_has_taken_over() {
    let server = TcpPostgres::start(&bin_dir(), "word").await;
    let way = Way::to(&server).await;
    let database = |url: &str| Database { url: url.into(), ..Database::default() };
    let first = Store::connect(&database(&way.url)).await.unwrap();
    let second = Store::connect(&database(&server.url())).await.unwrap();
    second.migrate().await.unwrap();
    second.register(&network(CHAIN), GENESIS).await.unwrap();
    let chain = chain_of(6, 55);
    let mut cut_off = first.writer(CHAIN).await.unwrap().expect("nobody else writes");
    follow(&mut cut_off, &chain, None, START + 2, None).await.unwrap();
    assert!(second.writer(CHAIN).await.unwrap().is_none(), "the lock is held");

    // The network is cut in the middle of a step, and the server gives the connection up, as its keepalive does.
    way.cut(true);
    let stray = chain.clone();
    let stepping = tokio::spawn(async move {
        let ended = follow(&mut cut_off, &stray, None, START + 3, None).await;
        (ended, cut_off)
    });
    let client = connect(&server.url()).await;
    let give_up = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
                   AND pid <> pg_backend_pid()";
    client.batch_execute(give_up).await.unwrap();
    let mut heir = loop {
        if let Some(writer) = second.writer(CHAIN).await.unwrap() {
            break writer;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    follow(&mut heir, &chain, None, START + 5, None).await.unwrap();
    let expected: Dump = tables::dump(&client, CHAIN).await;

    way.cut(false);
    let (ended, cut_off) = stepping.await.unwrap();
    let lost = ended.expect_err("its connection is gone");
    assert_eq!(lost.fault(), Fault::Retry, "{lost}");
    assert!(cut_off.is_closed(), "another right to write must be asked for");
    tables::assert_same(&tables::dump(&client, CHAIN).await, &expected);
    assert_eq!(heir.cursor().await.unwrap().tip.map(|tip| tip.number), Some(START + 5));
}
