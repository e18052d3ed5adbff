//! What happens to a chain, to those who tell it, and to the node that follows it.
//!
//! A turn of a story is drawn here; each file below has what one of those concerned does. `ending` makes all well again, and
//! `checks` says what must be true then.

mod chain;
mod checks;
mod ending;
mod faults;
mod manners;
mod node;
mod operator;

use std::sync::{Arc, Mutex, MutexGuard};

use meikan::audit::Pass;
use meikan::config::{Follow, Network};
use tokio_postgres::Client;

use super::chain::Truth;
use super::crash::Crash;
use super::draw::Draw;
use super::dump::Tables;
use super::endpoint::Net;
use super::listener::Listener;
use super::traffic::Cast;
use super::wire::Relay;
use node::Node;

/// The network of every story.
pub(super) const CHAIN_ID: u64 = 167_000;

/// Things that happen in a story.
const TURNS: u64 = 40;

/// After one in so many of them somebody comes to hear what changed.
const LISTENS_ONE_IN: u64 = 25;

/// A database that one story after the other is played on.
pub(super) struct Stage {
    pub(super) url: String,
    pub(super) client: Client,
    pub(super) tables: Tables,
}

/// A story.
pub(super) struct Story<'a> {
    stage: &'a Stage,
    draw: Draw,
    net: Arc<Mutex<Net>>,
    crash: Crash,
    relay: Relay,
    network: Network,
    node: Option<Node>,
    registered: bool,
    /// Some block was once called final.
    final_once: bool,
    /// Endpoints tell what only an audit finds, and there is one.
    audited: bool,
    /// Of three endpoints the one that tells what it likes, also where nobody could find out, because the word of two is
    /// wanted (F12).
    liar: Option<usize>,
    pass: Pass,
    /// Who follows what changes.
    listener: Listener,
    /// Blocks of deep histories are emptier.
    logs_per_block: u64,
    /// What happened, for who has to find out why.
    pub(super) told: Vec<String>,
    faults: u64,
}

/// What a story was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// All requests and answers and what the steps did, as one number.
    pub(super) trace: u64,
    pub(super) blocks: u64,
    pub(super) requests: u64,
    pub(super) faults: u64,
}

impl<'a> Story<'a> {
    /// The story of a seed, before anything happened.
    pub(super) async fn begin(stage: &'a Stage, seed: u64) -> Self {
        stage.tables.clear(&stage.client).await;
        let mut draw = Draw::of(seed, &[b"story"]);
        let cast = Cast::draw(&mut draw);
        let sealed = draw.one_in(3);
        let truth = Truth::new(CHAIN_ID, &cast, sealed);
        let endpoints = draw.index(3) + 1;
        let liar = (endpoints == 3 && draw.one_in(2)).then(|| draw.index(endpoints));
        let follow = Follow {
            max_range_blocks: *draw.pick(&[1, 3, 10, 20, 100, 10_000]),
            by_hash_blocks: *draw.pick(&[0, 2, 8, 128]),
            batch_requests: *draw.pick(&[1, 7, 100]),
            concurrent_requests: *draw.pick(&[1, 8]),
            quorum: if liar.is_some() { 2 } else { 1 },
            // By another draw than the rest, so that a seed that once failed still tells the same story.
            postpone_indexes_blocks: *Draw::of(seed, &[b"indexes"]).pick(&[0, 1, 10, 5_000]),
            // A step takes its time from a clock that stands still, in which no connection can be waited for.
            index_connections: 0,
            reindex_step_logs: *Draw::of(seed, &[b"steps"]).pick(&[10, 40, 200_000, 200_000]),
            ..Follow::default()
        };
        let network = Network {
            name: "taiko".into(),
            chain_id: CHAIN_ID,
            rpc_urls: vec![],
            start_block: draw.below(3),
            contracts: cast.contracts(),
            follow,
            ..Network::default()
        };
        let crash = Crash::default();
        let relay = Relay::start(&stage.url, crash.clone());
        let net = Arc::new(Mutex::new(Net::new(seed, cast, truth, endpoints)));
        let (node, told) = (None, Vec::new());
        let mut story = Self {
            stage,
            draw,
            net,
            crash,
            relay,
            network,
            node,
            registered: false,
            final_once: false,
            audited: sealed,
            liar,
            pass: Pass::default(),
            listener: Listener::default(),
            logs_per_block: 5,
            told,
            faults: 0,
        };
        let deep = story.draw.one_in(20);
        story.logs_per_block = if deep { 1 } else { story.draw.between(1, 8) };
        let blocks = if deep { story.draw.between(400, 900) } else { story.draw.between(1, 60) };
        story.mine(blocks);
        story
    }

    /// Lets all of it happen, and asserts that it ends well.
    pub(super) async fn play(&mut self) -> Told {
        for _ in 0..TURNS {
            self.happen().await;
            self.listen().await;
        }
        self.end_well().await;
        let net = self.net();
        Told {
            trace: net.trace,
            blocks: net.truth.view.head().number,
            requests: net.requests,
            faults: net.spoiled + self.faults,
        }
    }

    fn net(&self) -> MutexGuard<'_, Net> {
        self.net.lock().unwrap()
    }

    fn tell(&mut self, what: String) {
        self.told.push(what);
    }

    /// Somebody comes now and then to hear what changed; by a chance of its own, so that nothing else depends on it.
    async fn listen(&mut self) {
        let mut draw = Draw::of(self.draw.clone().next(), &[b"listener"]);
        if draw.one_in(LISTENS_ONE_IN) {
            self.tell("somebody listens".into());
            self.listener.visit(&self.stage.url, &mut draw).await;
        }
    }

    /// Draws one thing that happens.
    async fn happen(&mut self) {
        match self.draw.below(22) {
            0..=3 => {
                let blocks = self.draw.between(1, 12);
                self.mine(blocks);
            }
            4..=6 => self.fork(),
            7 | 8 => self.finalize(),
            9 | 10 => self.change_manners(),
            11 => self.turn_within_a_step(),
            12 => {
                self.tell("restart".into());
                self.die();
            }
            13 => self.cut().await,
            14 | 15 => self.crash().await,
            16 => self.lose_the_lock().await,
            17 if self.draw.one_in(3) => self.upgrade().await,
            17 => self.reindex().await,
            18 if self.audited => {
                self.audit().await;
            }
            _ => {
                for _ in 0..self.draw.between(1, 4) {
                    self.step().await;
                }
            }
        }
    }
}
