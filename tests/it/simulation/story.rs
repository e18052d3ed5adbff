//! What happens to a chain, to those who tell it, and to the node that follows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use meikan::audit::{Auditor, Pass, Settings};
use meikan::block::{Block, Log, Method};
use meikan::chain::Chain;
use meikan::config::{Database, Follow, Network};
use meikan::fault::Fault;
use meikan::follow::{FollowError, Follower, Outcome};
use meikan::store::{Store, StoreError, Writer};
use tokio::time::{pause, resume, sleep};
use tokio_postgres::Client;

use super::answers::Asker;
use super::chain::{SimBlock, Truth};
use super::crash::Crash;
use super::digest::{self, Digest};
use super::draw::Draw;
use super::dump::{Tables, held_logs};
use super::endpoint::{Manners, Net, ToldFinality, Turn, transports};
use super::model::{Model, Row};
use super::traffic::Cast;
use super::wire::{Cut, Relay};

/// The network of every story.
pub(super) const CHAIN_ID: u64 = 167_000;

/// Things that happen in a story.
const TURNS: u64 = 40;

/// Most requests of a step before which something may happen to the chain.
const TURN_REQUESTS: u64 = 30;

/// Most await points of a step at which it may end.
const CRASH_POINTS: u64 = 60;

/// Looks of an audit until all is verified, when everybody tells the truth.
const MOST_AUDITS: u32 = 100;

/// Pause between two of them, as the loop around an audit makes it.
const AUDIT_PAUSE: Duration = Duration::from_secs(30);

/// Looks at a lock that somebody who has just died still holds, one a millisecond.
const LOCK_LOOKS: usize = 20_000;

/// A database that one story after the other is played on.
pub(super) struct Stage {
    pub(super) url: String,
    pub(super) client: Client,
    pub(super) tables: Tables,
}

/// A node: what a process holds.
struct Node {
    chain: Arc<Chain>,
    store: Arc<Store>,
    follower: Follower,
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
            ..Follow::default()
        };
        let network = Network {
            name: "taiko".into(),
            chain_id: CHAIN_ID,
            rpc_urls: vec![],
            rpc_urls_file: None,
            fallback_rpc_urls: vec![],
            fallback_rpc_urls_file: None,
            start_block: draw.below(3),
            contracts: cast.contracts(),
            follow,
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

    /// A node at the head, a fork, and a step that ends at the await point `at` of following it, if it has as many;
    /// then all is well. Whether the step came there.
    pub(super) async fn end_a_step_at(&mut self, at: u64) -> bool {
        let cuts = [None, Some(Cut::Unheard), Some(Cut::Heard), Some(Cut::Untold)];
        let cut = cuts[usize::try_from(at).expect("steps are short") % cuts.len()];
        for _ in 0..100 {
            self.step().await;
            let tip = self.node.as_ref().and_then(|node| node.follower.tip());
            if tip.is_some_and(|tip| tip.block() == self.net().truth.view.head().block()) {
                break;
            }
        }
        let (cast, mut draw) = (self.net().cast.clone(), Draw::of(at, &[b"branch"]));
        {
            let net = &mut *self.net();
            net.truth.cut(8);
            for _ in 0..10 {
                let emitted = cast.block(&mut draw, 6);
                net.truth.mine(&cast, emitted, 1);
            }
        }
        self.relay.crash_with(cut);
        self.crash.arm(at);
        let whole = self.step().await;
        assert!(whole || self.crash.passed() >= at, "it ended where it was told to");
        self.crash.arm(0);
        self.relay.crash_with(None);
        if at.is_multiple_of(2) {
            self.die();
        }
        self.end_well().await;
        !whole
    }

    fn net(&self) -> MutexGuard<'_, Net> {
        self.net.lock().unwrap()
    }

    fn tell(&mut self, what: String) {
        self.told.push(what);
    }

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

    fn mine(&mut self, blocks: u64) {
        self.tell(format!("mine {blocks}"));
        mine(&mut self.net.lock().unwrap(), &mut self.draw, blocks, self.logs_per_block);
    }

    /// A branch that is shorter, as long, or longer; sometimes another one right behind it.
    fn fork(&mut self) {
        for _ in 0..self.draw.between(1, 2) {
            let fork = self.drawn_fork();
            fork(&mut self.net.lock().unwrap());
        }
    }

    fn drawn_fork(&mut self) -> Turn {
        let depth = if self.draw.one_in(6) { self.draw.between(1, 700) } else { self.draw.between(1, 12) };
        let blocks = (depth + self.draw.below(6)).saturating_sub(self.draw.below(4));
        self.tell(format!("fork of depth {depth} with {blocks} new blocks"));
        let (mut draw, logs) = (Draw::of(self.draw.next(), &[]), self.logs_per_block);
        Box::new(move |net| {
            let before = net.truth.view.clone();
            net.truth.cut(depth);
            let depth = before.head().number - net.truth.view.head().number;
            mine(net, &mut draw, blocks.min(depth + 6), logs);
            // Who is told to stay on an old branch stays on this one.
            for manners in net.manners.iter_mut().filter(|manners| manners.stale.is_some()) {
                manners.stale = Some(before.clone());
            }
        })
    }

    /// Finality rises, stalls, vanishes or moves back; what was once called final stays.
    fn finalize(&mut self) {
        let choice = self.draw.below(8);
        let (share, below) = (self.draw.below(100), self.draw.below(8));
        let net = &mut *self.net.lock().unwrap();
        let truth = &mut net.truth;
        let head = truth.view.head().number;
        match choice {
            0 => truth.view.finalized = None,
            1 => truth.view.finalized = truth.view.finalized.map(|finalized| finalized.saturating_sub(below)),
            2 => truth.view.proposed = Some(head - (head - truth.settled) * share / 100),
            3 => truth.view.proposed = None,
            _ => {
                let finalized = truth.settled + (head - truth.settled) * share / 100;
                truth.settled = finalized;
                self.final_once = true;
                truth.view.finalized = Some(finalized);
                // A fork that is still to come stays above; and nobody stays on a branch that is ruled out.
                for (endpoint, manners) in net.manners.iter_mut().enumerate() {
                    match &mut manners.stale {
                        // But for one that is outvoted, which takes its own branch for final.
                        Some(stale) if self.liar == Some(endpoint) => {
                            stale.finalized = Some(finalized.min(stale.head().number));
                        }
                        stale => *stale = None,
                    }
                }
            }
        }
        let view = &net.truth.view;
        let line = format!("finalized {:?}, proposed {:?}, head {head}", view.finalized, view.proposed);
        self.told.push(line);
    }

    fn change_manners(&mut self) {
        let endpoints = self.net().manners.len();
        let endpoint = self.draw.index(endpoints);
        let draw = &mut self.draw;
        let mut manners = Manners::default();
        if !draw.one_in(4) {
            manners.spoils_one_in = *draw.pick(&[0, 3, 8, 20, 50]);
            manners.omits = draw.one_in(2);
            let may_lie = self.audited || self.liar == Some(endpoint);
            manners.omits_unseen = may_lie && draw.one_in(2);
            manners.forges_receipts = may_lie && draw.one_in(4);
            manners.lacks_receipts = self.audited && draw.one_in(5);
            manners.lag = *draw.pick(&[0, 0, 0, 1, 3, 12]);
            manners.range_limit = draw.one_in(4).then(|| *draw.pick(&[1, 2, 5, 50]));
            manners.log_limit = draw.one_in(4).then(|| *draw.pick(&[0, 3, 20, 100]));
            manners.cuts_at = draw.one_in(4).then_some(100);
            manners.batch_limit = draw.one_in(6).then(|| *draw.pick(&[1, 3, 20]));
            manners.refuses_hashes = draw.one_in(5);
            manners.lacks_l1_origin = draw.one_in(5);
            manners.finality = match draw.below(5) {
                0 => ToldFinality::Behind(draw.below(10)),
                1 => ToldFinality::Nothing,
                _ => ToldFinality::Truth,
            };
            manners.down = draw.one_in(10);
        }
        self.tell(format!("endpoint {endpoint}: {manners:?}"));
        let mut net = self.net.lock().unwrap();
        if self.draw.one_in(8) {
            manners.stale = Some(net.truth.view.clone());
        }
        net.manners[endpoint] = manners;
    }

    /// The chain changes while the next step reads it.
    fn turn_within_a_step(&mut self) {
        let requests = self.draw.between(1, TURN_REQUESTS);
        self.tell(format!("in {requests} requests:"));
        let turn = self.drawn_fork();
        self.net().turns.push((requests, turn));
    }

    /// The process dies.
    fn die(&mut self) {
        self.node = None;
        self.relay.end_connections();
    }

    /// The connection to the database breaks, or the database refuses, at one statement of the next steps.
    async fn cut(&mut self) {
        let (at, cut) = (self.draw.between(1, CRASH_POINTS), *self.draw.pick(&Cut::ALL));
        self.tell(format!("{cut:?} at statement {at}"));
        self.ready().await;
        self.relay.arm(at, cut);
        for _ in 0..3 {
            self.step().await;
        }
        self.faults += u64::from(self.relay.disarm());
    }

    /// A step ends in the middle, with its process or without.
    async fn crash(&mut self) {
        let at = self.draw.between(1, CRASH_POINTS);
        let cut = *self.draw.pick(&[None, Some(Cut::Unheard), Some(Cut::Heard), Some(Cut::Untold)]);
        let dies = self.draw.one_in(2);
        self.tell(format!("crash at await point {at}, {cut:?}, the process dies: {dies}"));
        self.ready().await;
        self.relay.crash_with(cut);
        self.crash.arm(at);
        for _ in 0..3 {
            if !self.step().await {
                self.faults += 1;
                break;
            }
        }
        self.crash.arm(0);
        self.relay.crash_with(None);
        if dies {
            self.die();
        }
    }

    /// The writer loses its lock without knowing, and another process takes over: whatever the first one still does, it
    /// commits nothing.
    async fn lose_the_lock(&mut self) {
        self.tell("the lock is lost".into());
        self.ready().await;
        self.relay.inject("SELECT pg_advisory_unlock_all()");
        let store = self.connect().await;
        let writer = self.writer(&store).await;
        let old = self.node.as_mut().expect("the node is ready");
        let chain = Arc::clone(&old.chain);
        pause();
        let result = old.follower.step().await;
        resume();
        if let Ok(outcome) = result {
            panic!("a writer that lost its lock did something: {outcome:?}");
        }
        let follower = Follower::new(&self.network, Arc::clone(&chain), writer);
        self.node = Some(Node { chain, store, follower });
    }

    /// An operator re-indexes, from the raw logs or from the chain; it may be left half way, for the follower to go on.
    async fn reindex(&mut self) {
        self.ready().await;
        let node = self.node.as_mut().expect("the node is ready");
        let start = self.network.start_block;
        let Some(tip) = node.follower.tip().filter(|tip| tip.number >= start) else { return };
        let from = self.draw.between(start, tip.number);
        let chain = Arc::clone(&node.chain);
        if self.draw.one_in(2) {
            pause();
            let result = node.follower.reingest(from).await;
            resume();
            self.tell(format!("re-index from block {from} of the chain: {:?}", result.as_ref().map(|_| ())));
            if let Err(error) = result {
                self.failed(&error).await;
            }
            return;
        }
        self.die();
        let store = self.connect().await;
        let mut writer = self.writer(&store).await;
        writer.set_reindex_step_logs(*self.draw.pick(&[1, 10, 60, 100_000]));
        let mut result = writer.rederive(from).await.map(Some);
        for _ in 0..self.draw.below(4) {
            if !matches!(result, Ok(Some(_))) {
                break;
            }
            result = writer.resume().await;
        }
        self.tell(format!("re-index from block {from} of the raw logs: {result:?}"));
        if let Err(error) = result {
            // The tip may be lower than it was known to be.
            let is_lower = matches!(error, StoreError::Unreachable { .. });
            assert!(is_lower || error.fault() != Fault::Fatal, "{error}");
        }
        let follower = Follower::new(&self.network, Arc::clone(&chain), writer);
        self.node = Some(Node { chain, store, follower });
    }

    /// A turn of the audit, with whom it has repair what it finds; tells up to where all is verified.
    async fn audit(&mut self) -> Option<u64> {
        self.ready().await;
        let node = self.node.as_mut().expect("the node is ready");
        let (chain, store) = (Arc::clone(&node.chain), Arc::clone(&node.store));
        let auditor = Auditor::new(&self.network, chain, Arc::clone(&store), Settings::thorough(&self.network));
        // Connections are made by the clock of the world.
        if let Err(error) = store.begin_verification(CHAIN_ID).await {
            // It was cut a moment ago; the next look makes another one.
            assert_ne!(error.fault(), Fault::Fatal, "{error}");
            self.told.push(format!("audit: {error}"));
            return None;
        }
        let follower = tokio::sync::Mutex::new(&mut node.follower);
        let (follower, repairs) = (&follower, &std::cell::RefCell::new(Vec::new()));
        let repair = |blocks: Vec<Block>| async move {
            let numbers: Vec<u64> = blocks.iter().map(|block| block.header.number).collect();
            let result = follower.lock().await.repair(&blocks).await;
            repairs.borrow_mut().push(format!("  repair of {numbers:?}: {result:?}"));
            match result {
                Ok(_) => true,
                Err(error) => {
                    assert_ne!(error.fault(), Fault::Fatal, "{error}");
                    false
                }
            }
        };
        pause();
        let audited = Box::pin(auditor.turn(&mut self.pass, &repair)).await;
        resume();
        let repairs = repairs.take();
        self.told.push(format!("audit: {audited:?}"));
        self.told.extend(repairs);
        if let Err(error) = audited {
            assert_ne!(error.fault(), Fault::Fatal, "{error}");
        }
        let verified = store.standing(CHAIN_ID).await.expect("the database answers").verified?;
        if verified.method == Method::ReceiptsRoot {
            self.assert_raw_logs_to(verified.number).await;
        }
        Some(verified.number)
    }

    /// Asserts that what is verified is true.
    async fn assert_raw_logs_to(&self, number: u64) {
        let mut held = held_logs(&self.stage.client, CHAIN_ID).await;
        held.retain(|log| log.block.number <= number);
        let (_, mut logs) = self.expected();
        logs.retain(|log| log.block.number <= number);
        assert_eq!(held, logs, "the raw logs that are verified");
    }

    async fn connect(&self) -> Arc<Store> {
        let host = self.relay.folder().display().to_string().replace('/', "%2F");
        let address = self.stage.url.split_once("://").expect("a URL has a scheme").1;
        let (user, rest) = address.split_once('@').unwrap_or(("postgres", address));
        let name = rest.rsplit_once('/').expect("a URL names a database").1;
        let name = name.split('?').next().expect("a split has a first part");
        let url = format!("postgres://{user}@{host}/{name}");
        let database = Database { url, read_connections: 1, ..Database::default() };
        Arc::new(Store::connect(&database).await.expect("the database answers"))
    }

    async fn writer(&self, store: &Store) -> Writer {
        for _ in 0..LOCK_LOOKS {
            match store.writer(CHAIN_ID).await {
                Ok(Some(writer)) => return writer,
                Ok(None) => {}
                Err(error) => assert_ne!(error.fault(), Fault::Fatal, "{error}"),
            }
            sleep(Duration::from_millis(1)).await;
        }
        panic!("somebody else writes");
    }

    /// Makes sure that there is a node.
    async fn ready(&mut self) {
        if self.node.is_some() {
            return;
        }
        let chain = Arc::new(self.connect_to_chain().await);
        let store = self.connect().await;
        // Once is enough, and takes longer than a step.
        if !self.registered || self.draw.one_in(8) {
            store.register(&self.network, chain.genesis_hash()).await.expect("the network is the same");
            self.registered = true;
        }
        let writer = self.writer(&store).await;
        let follower = Follower::new(&self.network, Arc::clone(&chain), writer);
        self.node = Some(Node { chain, store, follower });
    }

    /// A start needs one endpoint that answers: who starts it tries again, and in the end one comes back (F42).
    async fn connect_to_chain(&mut self) -> Chain {
        pause();
        for attempt in 0.. {
            let transports = transports(&self.net, &self.crash);
            match Box::pin(Chain::over(&self.network, transports)).await {
                Ok(chain) => {
                    resume();
                    return chain;
                }
                Err(error) => assert!(attempt < 10, "no start: {error}"),
            }
            if attempt > 3 {
                self.net().manners[0] = Manners::default();
            }
            sleep(Duration::from_secs(1)).await;
        }
        unreachable!("the attempts are bounded");
    }

    /// One step; whether it came to its end.
    async fn step(&mut self) -> bool {
        self.ready().await;
        let node = self.node.as_mut().expect("the node is ready");
        pause();
        let result = tokio::select! {
            biased;
            () = self.crash.comes() => None,
            result = Box::pin(node.follower.step()) => Some(result),
        };
        resume();
        let Some(result) = result else {
            self.tell("  crashed".into());
            return false;
        };
        match result {
            Ok(outcome) => {
                let line = format!("  {}", words(&outcome));
                self.tell(line);
            }
            Err(error) => self.failed(&error).await,
        }
        true
    }

    async fn failed(&mut self, error: &FollowError) {
        self.tell(format!("  failed: {error}"));
        assert_ne!(error.fault(), Fault::Fatal, "{error}");
        let node = self.node.as_mut().expect("the node took a step");
        if node.follower.is_writer_lost(error) {
            // As the loop around the step does.
            let (chain, store) = (Arc::clone(&node.chain), Arc::clone(&node.store));
            self.node = None;
            let writer = self.writer(&store).await;
            let follower = Follower::new(&self.network, Arc::clone(&chain), writer);
            self.node = Some(Node { chain, store, follower });
        }
        let pause_ms = self.draw.between(100, 3_000);
        pause();
        sleep(Duration::from_millis(pause_ms)).await;
        resume();
    }

    /// Nothing happens any more, and everybody tells the truth: the node converges, and holds what the chain says.
    async fn end_well(&mut self) {
        self.tell("all is well".into());
        let final_once = self.final_once;
        {
            let mut net = self.net();
            net.turns.clear();
            net.manners.iter_mut().for_each(|manners| *manners = Manners::default());
            let settled = net.truth.settled;
            // What was once told final stays so; it may have been the first block.
            net.truth.view.finalized = final_once.then_some(settled);
        }
        // A chain that stays lower than one that was held looks like a lagging endpoint for ever.
        let missing = {
            let truth = &self.net().truth;
            (truth.highest + 1).saturating_sub(truth.view.head().number).max(1)
        };
        self.mine(missing);
        if self.draw.one_in(2) {
            self.die();
        }
        let head = self.net().truth.view.head().block();
        if self.audited {
            // What is not final is not audited.
            let truth = &mut self.net().truth;
            (truth.settled, truth.view.finalized) = (head.number, Some(head.number));
        }
        let most = 100 + 3 * head.number;
        for steps in 0.. {
            assert!(steps < most, "not at the head after {most} steps");
            self.step().await;
            let tip = self.node.as_ref().and_then(|node| node.follower.tip());
            if tip.is_some_and(|tip| tip.block() == head) {
                break;
            }
        }
        // One more look, which brings finality.
        self.step().await;
        if self.audited {
            let mut turns = 0;
            while self.audit().await < Some(head.number) {
                turns += 1;
                assert!(turns < MOST_AUDITS, "not verified after {turns} looks");
                // An endpoint that failed rests, and is needed to confirm that the head is final.
                pause();
                sleep(AUDIT_PAUSE).await;
                resume();
                self.step().await;
            }
        }
        self.check().await;
    }

    async fn check(&mut self) {
        let (tables, logs) = self.expected();
        self.stage.tables.assert_hold(&self.stage.client, tables).await;
        assert_eq!(held_logs(&self.stage.client, CHAIN_ID).await, logs, "the raw logs");
        self.assert_cursor().await;
        let (start, head) = (self.network.start_block, self.net().truth.view.head().number);
        let asker = Asker::new(Arc::clone(&self.node.as_ref().expect("a node is at the head").store));
        for block in [self.draw.between(start, head), head] {
            let (cast, model, digest) = {
                let net = self.net();
                let (cast, view) = (&net.cast, &net.truth.view);
                (cast.clone(), Model::of(cast, view, start, block), Digest::at(cast, view, start, block))
            };
            asker.assert_answers(block, &cast, &model, &digest).await;
        }
    }

    /// What the tables, and the raw logs, must hold.
    fn expected(&self) -> (BTreeMap<&'static str, Vec<Row>>, Vec<Log>) {
        let net = self.net();
        let view = &net.truth.view;
        let start = self.network.start_block;
        let finalized = view.finalized.filter(|finalized| *finalized >= start);
        let mut tables = Model::of(&net.cast, view, start, view.head().number).tables(finalized);
        let followed = &view.blocks[usize::try_from(start).expect("starts are low")..];
        let watched = |block: &SimBlock| -> Vec<Log> {
            block.logs.iter().filter(|log| net.cast.watches(log.address)).cloned().collect()
        };
        let kept = followed
            .iter()
            .map(|block| (block, watched(block).len()))
            .filter(|(block, logs)| *logs > 0 || finalized.is_none_or(|finalized| block.number > finalized));
        tables.insert("block", kept.map(|(block, logs)| block.row(logs)).collect());
        tables.insert("state_digest", digest::rows(&net.cast, followed, finalized));
        (tables, followed.iter().flat_map(|block| watched(block)).collect())
    }

    async fn assert_cursor(&self) {
        let select = "SELECT ARRAY[tip_number::text, encode(tip_hash, 'hex'), tip_at::text, finalized_number::text, \
                      encode(finalized_hash, 'hex')] FROM cursor WHERE chain_id = $1";
        let chain = i64::try_from(CHAIN_ID).expect("chain ids are small");
        let row = self.stage.client.query_one(select, &[&chain]).await.expect("there is a cursor");
        let cursor: Vec<Option<String>> = row.get(0);
        let net = self.net();
        let view = &net.truth.view;
        let head = view.head();
        let finalized = view.finalized.filter(|finalized| *finalized >= self.network.start_block);
        let finalized = finalized.and_then(|number| view.blocks.get(usize::try_from(number).ok()?));
        let hex = |hash: alloy::primitives::B256| Some(alloy::hex::encode(hash));
        let expected = [
            Some(head.number.to_string()),
            hex(head.hash),
            Some(head.timestamp.to_string()),
            finalized.map(|block| block.number.to_string()),
            finalized.and_then(|block| hex(block.hash)),
        ];
        assert_eq!(cursor, expected, "the cursor");
    }
}

/// Appends blocks with drawn logs.
fn mine(net: &mut Net, draw: &mut Draw, blocks: u64, logs: u64) {
    for _ in 0..blocks {
        let emitted = net.cast.block(draw, logs);
        // Some blocks share a time.
        let seconds = draw.below(4);
        let cast = net.cast.clone();
        net.truth.mine(&cast, emitted, seconds);
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::AtHead => "at the head".into(),
        Outcome::Advanced { from, to, head, .. } => format!("{from} to {to} of {head}"),
        Outcome::Rederived(_) => "derived again".into(),
        Outcome::Reorganised { ancestor, depth, to, .. } => format!("{depth} undone to {ancestor}, now {to}"),
    }
}
