//! News of commits for whoever waits in this process: one connection that listens, and the newest changes of each network.
//!
//! What is heard on the primary is only a reason to look. What there is, is read on the connections for reading, which may
//! be a replica's: nothing is told before those who are told can read it. A look comes by itself every
//! [`LOOK_PAUSE`], so that a notification that was lost delays and never stalls. Nothing is kept for anybody who waits:
//! they hold a place and pull.

mod listen;
mod ring;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::listen::{Heard, keep_listening};
pub(super) use self::ring::Change;
use self::ring::{RING_CHANGES, Ring};
use super::pool::{Connections, Target};
use super::query::QueryError;

/// Longest time between two looks.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// Pause before another look where a replica lacks what was heard of, doubled with each up to [`LOOK_PAUSE`].
const REPLICA_PAUSE: Duration = Duration::from_millis(10);

/// How far a network is, as those who read see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// The number of its newest commit, and of the newest change.
    pub(super) seq: i64,
    /// Its newest block.
    pub(super) tip: Option<i64>,
}

/// Every network's head; nothing until the first look.
pub(super) type Heads = Option<BTreeMap<i64, Head>>;

/// The news of this process.
pub(super) struct Feed {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

struct Shared {
    rings: Mutex<HashMap<i64, Ring>>,
    heads: watch::Sender<Heads>,
    /// Counts the states that were seen: it rises with every commit of any network.
    state: AtomicI64,
    /// Whether the next commit will be heard of.
    is_told: AtomicBool,
}

impl Feed {
    /// Begins to listen on one database and to look on another; both end with [`Feed::stop`], or when it is dropped.
    pub(super) fn start(listen_on: Target, read: Connections) -> Self {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            rings: Mutex::default(),
            heads: watch::Sender::new(None),
            state: AtomicI64::new(0),
            is_told: AtomicBool::new(false),
        });
        let (heard, hints) = watch::channel(Heard::default());
        let (looker, stopped) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = keep_listening(listen_on, heard) => {}
                () = looker.keep_looking(read, hints) => {}
            }
        });
        Self { shared, stop }
    }

    /// Ends it; those who wait hear of nothing more.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// What changes with every commit that readers see.
    pub(super) fn heads(&self) -> watch::Receiver<Heads> {
        self.shared.heads.subscribe()
    }

    /// The number of the state of a network that readers see, or of all networks: another one after every commit of it, or of
    /// any. Nothing while commits are not heard of, and of a network that is not there.
    pub(super) fn state(&self, chain_id: Option<i64>) -> Option<i64> {
        let shared = &self.shared;
        if !shared.is_told.load(Ordering::Acquire) {
            return None;
        }
        match chain_id {
            Some(chain_id) => shared.heads.borrow().as_ref()?.get(&chain_id).map(|head| head.seq),
            None => Some(shared.state.load(Ordering::Acquire)),
        }
    }

    /// Whether networks with these newest commits are as new as any that readers have seen: all of them, or one.
    pub(super) fn is_newest(&self, seqs: &BTreeMap<i64, i64>, chain_id: Option<i64>) -> bool {
        let heads = self.shared.heads.borrow();
        let mut wanted =
            heads.iter().flatten().filter(|(known, _)| chain_id.is_none_or(|chain_id| chain_id == **known));
        heads.is_some() && wanted.all(|(known, head)| seqs.get(known).is_some_and(|seq| *seq >= head.seq))
    }

    /// As [`Ring::reach`], of a network.
    pub(super) fn reach(&self, chain_id: i64, after: i64, most: usize) -> Option<i64> {
        self.shared.with_rings(|rings| rings.get(&chain_id)?.reach(after, most))
    }

    /// As [`Ring::between`], of a network.
    pub(super) fn between(&self, chain_id: i64, after: i64, to: i64) -> Option<Vec<Arc<Change>>> {
        self.shared.with_rings(|rings| rings.get(&chain_id)?.between(after, to))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn with_rings<T>(&self, read: impl FnOnce(&mut HashMap<i64, Ring>) -> T) -> T {
        // A panic of another holder leaves every ring whole: nothing is awaited or called out to while one is changed.
        read(&mut self.rings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn keep_looking(&self, read: Connections, mut hints: watch::Receiver<Heard>) {
        let mut late = REPLICA_PAUSE;
        loop {
            let is_listening = hints.borrow_and_update().is_listening;
            if !is_listening {
                self.is_told.store(false, Ordering::Release);
            }
            let looked = self.look(&read).await;
            // Whatever was committed before somebody listened has been seen now, and whatever comes will be told.
            self.is_told.store(is_listening && looked.is_ok(), Ordering::Release);
            if let Err(error) = looked {
                tracing::debug!(%error, "a look for commits failed; the next one comes soon");
            }
            let is_late = self.lacks(&hints.borrow().commits);
            let pause = if is_late { late } else { LOOK_PAUSE };
            late = if is_late { (2 * late).min(LOOK_PAUSE) } else { REPLICA_PAUSE };
            // Either somebody is heard, or the pause is over; a listener that is gone ends this task too.
            let _ = tokio::time::timeout(pause, hints.changed()).await;
        }
    }

    /// Whether readers do not see yet what was heard of.
    fn lacks(&self, heard: &BTreeMap<i64, i64>) -> bool {
        self.with_rings(|rings| {
            heard.iter().any(|(chain_id, seq)| rings.get(chain_id).is_none_or(|ring| ring.head() < *seq))
        })
    }

    /// Reads how far every network is, and what changed since the last look: one statement, so one state.
    async fn look(&self, read: &Connections) -> Result<(), QueryError> {
        let select = format!(
            "SELECT c.chain_id, c.seq, c.tip_number, n.* FROM cursor c \
             LEFT JOIN unnest($1::bigint[], $2::bigint[]) AS known (chain_id, seq) USING (chain_id) \
             LEFT JOIN LATERAL (SELECT {} FROM change x WHERE x.chain_id = c.chain_id AND x.seq > known.seq \
                 AND x.seq <= c.seq ORDER BY x.seq DESC LIMIT {RING_CHANGES}) n ON TRUE ORDER BY c.chain_id, n.seq",
            Change::COLUMNS
        );
        let (chains, seqs): (Vec<i64>, Vec<i64>) =
            self.with_rings(|rings| rings.iter().map(|(chain_id, ring)| (*chain_id, ring.head())).unzip());
        let rows = {
            let connection = read.get().await?;
            let statement = connection.prepare_cached(&select).await?;
            connection.query(&statement, &[&chains, &seqs]).await?
        };
        let mut news: BTreeMap<i64, (Head, Vec<Change>)> = BTreeMap::new();
        for row in &rows {
            let head = Head { seq: row.try_get(1)?, tip: row.try_get(2)? };
            let (_, changes) = news.entry(row.try_get(0)?).or_insert((head, Vec::new()));
            if row.try_get::<_, Option<i64>>(3)?.is_some() {
                changes.push(Change::read(row, 3)?);
            }
        }
        let heads = self.take(news);
        self.heads.send_if_modified(|known| {
            let is_new = known.as_ref() != Some(&heads);
            *known = Some(heads);
            self.state.fetch_add(is_new.into(), Ordering::AcqRel);
            is_new
        });
        Ok(())
    }

    fn take(&self, news: BTreeMap<i64, (Head, Vec<Change>)>) -> BTreeMap<i64, Head> {
        let known = self.heads.borrow().clone().unwrap_or_default();
        self.with_rings(|rings| {
            let taken = news.into_iter().map(|(chain_id, (head, changes))| {
                let ring = rings.entry(chain_id).or_insert_with(|| Ring::new(head.seq));
                // One of several replicas may be behind the one that was read before: what was told stays told.
                if head.seq < ring.head() {
                    return (chain_id, known.get(&chain_id).copied().unwrap_or(head));
                }
                ring.extend(changes, head.seq);
                (chain_id, head)
            });
            taken.collect()
        })
    }
}
