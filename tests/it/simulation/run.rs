//! Plays seeds: fixed ones with the other tests, and new ones for as long as somebody wants.
//!
//! Each core has a thread with a runtime and a database of its own. New seeds are entered in a ledger, so that a run goes
//! on where the last one ended; what failed is kept beside it, with all that had happened.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use meikan::config::Database;
use meikan::store::Store;
use tokio::runtime::{self, Runtime};

use super::dump::Tables;
use super::model::standings::{HOT_FEEDBACK, MILESTONE_EVERY};
use super::story::{CHAIN_ID, Stage, Story, Told};
use crate::support::postgres::{TestDatabase, connect};

/// The seeds that are played with the other tests.
const FIXED_SEEDS: std::ops::RangeInclusive<u64> = 1..=300;

/// A short history.
const WELL_BEHAVED_SEED: u64 = 4;

/// The first of the new ones.
const FIRST_NEW_SEED: u64 = 1_001;

/// A story that takes longer stands still, which is as wrong as a wrong row.
const LONGEST_STORY: Duration = Duration::from_secs(300);

/// Between two lines about the progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// How a seed ended: as told, or why not.
type Ended = Result<Told, String>;

/// Plays one seed.
fn play(runtime: &Runtime, stage: &Stage, seed: u64) -> Ended {
    runtime.block_on(async {
        let mut story = Box::pin(Story::begin(stage, seed)).await;
        let played = AssertUnwindSafe(story.play()).catch_unwind().await;
        played.map_err(|panic| {
            let Some(words) = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref().copied())
            else {
                resume_unwind(panic)
            };
            format!("{}\nseed {seed}: {words}\nplay it again: make simulate SEED={seed}", story.told.join("\n"))
        })
    })
}

async fn stage(database: &TestDatabase) -> Stage {
    let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
    store.migrate().await.unwrap();
    let client = connect(database.url()).await;
    // A story is short: whoever is spoken of a few times has milestones.
    let hot = format!(
        "ALTER TABLE network ALTER COLUMN hot_feedback SET DEFAULT {HOT_FEEDBACK}, \
             ALTER COLUMN milestone_every SET DEFAULT {MILESTONE_EVERY}"
    );
    client.batch_execute(&hot).await.unwrap();
    let tables = Tables::of(&client, CHAIN_ID).await;
    Stage { url: database.url().into(), client, tables }
}

/// Plays the seeds that `next` gives, on as many threads as there are cores, and hands each end to `done`.
fn play_all(next: impl Fn() -> Option<u64> + Sync, mut done: impl FnMut(u64, Ended)) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let playing = Mutex::new(BTreeMap::<u64, Instant>::new());
    let (ended, ends) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let ended = ended.clone();
            scope.spawn(|| {
                let ended = ended;
                let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let database = runtime.block_on(TestDatabase::migrated());
                let stage = runtime.block_on(stage(&database));
                while let Some(seed) = next() {
                    playing.lock().unwrap().insert(seed, Instant::now());
                    let end = play(&runtime, &stage, seed);
                    playing.lock().unwrap().remove(&seed);
                    ended.send((seed, end)).expect("somebody listens");
                }
            });
        }
        drop(ended);
        loop {
            match ends.recv_timeout(PROGRESS_EVERY) {
                Ok((seed, end)) => done(seed, end),
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    for (seed, since) in &*playing.lock().unwrap() {
                        if since.elapsed() > LONGEST_STORY {
                            eprintln!("seed {seed} stands still; play it again: make simulate SEED={seed}");
                            std::process::exit(1);
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn f19_f41_f54_f59_f66_whatever_happens_the_tables_say_what_the_chain_says() {
    let next = AtomicU64::new(*FIXED_SEEDS.start());
    let mut failures = Vec::new();
    let (mut faults, mut requests, started) = (0, 0, Instant::now());
    play_all(
        || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| FIXED_SEEDS.contains(seed)),
        |_, end| match end {
            Ok(told) => (faults, requests) = (faults + told.faults, requests + told.requests),
            Err(why) => {
                println!("{why}");
                failures.push(why);
            }
        },
    );
    let seeds = FIXED_SEEDS.count();
    println!("{seeds} seeds, {requests} requests, {faults} faults, in {} s", started.elapsed().as_secs());
    assert!(failures.is_empty(), "{} of {seeds} seeds failed:\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn f17_f20_f60_a_step_may_end_wherever_it_waits() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(TestDatabase::migrated());
    let stage = runtime.block_on(stage(&database));
    let mut ends = 0;
    // Every third point at which the step waits; far more than there are. Whether the process dies, and how its connection
    // ends, goes by two and by four: an odd stride meets all of it.
    for at in (1..1_000).step_by(3) {
        let ended = runtime.block_on(async {
            let mut story = Box::pin(Story::begin(&stage, WELL_BEHAVED_SEED)).await;
            Box::pin(story.end_a_step_at(at)).await
        });
        if !ended {
            break;
        }
        ends += 1;
    }
    assert!((10..333).contains(&ends), "a step that follows a fork was ended {ends} times");
}

#[test]
fn the_same_seed_is_the_same_story() {
    let seeds = Mutex::new(vec![7, 7]);
    let mut told = Vec::new();
    play_all(|| seeds.lock().unwrap().pop(), |_, end| told.push(end.unwrap()));
    assert_eq!(told[0], told[1]);
}

#[test]
#[ignore = "plays the seed SEED, or new ones: COUNT of them, or for ever"]
fn simulate() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SEED") {
        let once = Mutex::new(Some(seed));
        play_all(|| once.lock().unwrap().take(), |_, end| println!("{:#?}", end.unwrap_or_else(|why| panic!("{why}"))));
        return;
    }
    let keep_going = std::env::var("KEEP_GOING").is_ok_and(|value| !value.is_empty());
    let ledger = Ledger::open();
    let first = ledger.next();
    let last = first.saturating_add(number("COUNT").unwrap_or(u64::MAX));
    println!("from seed {first} on, entered in {}", ledger.folder.display());
    let (next, failed) = (AtomicU64::new(first), AtomicU64::new(0));
    let (mut played, started, mut told_at) = (0_u64, Instant::now(), Instant::now());
    play_all(
        || {
            let go_on = keep_going || failed.load(Ordering::Relaxed) == 0;
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| go_on && *seed < last)
        },
        |seed, end| {
            played += 1;
            ledger.enter(seed, &end);
            if let Err(why) = end {
                failed.fetch_add(1, Ordering::Relaxed);
                println!("{why}");
            }
            if told_at.elapsed() >= PROGRESS_EVERY {
                told_at = Instant::now();
                let rate = f64::from(u32::try_from(played).unwrap()) / started.elapsed().as_secs_f64();
                println!("{played} seeds up to {seed}, {rate:.1} a second, {} failed", failed.load(Ordering::Relaxed));
            }
        },
    );
    let failed = failed.into_inner();
    println!("{played} seeds in {} s, {failed} failed", started.elapsed().as_secs());
    assert_eq!(failed, 0, "failed seeds are in {}", ledger.folder.display());
}

/// What has run: a line for each seed, and a file for each that failed.
struct Ledger {
    folder: PathBuf,
}

impl Ledger {
    fn open() -> Self {
        let folder = match std::env::var_os("MEIKAN_SIMULATION_DIR").filter(|folder| !folder.is_empty()) {
            Some(folder) => folder.into(),
            None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulation"),
        };
        fs::create_dir_all(&folder).expect("the ledger has a folder");
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("ledger.tsv")
    }

    /// The first seed that has not run.
    fn next(&self) -> u64 {
        let entered = fs::read_to_string(self.file()).unwrap_or_default();
        let seeds = entered.lines().filter_map(|line| line.split('\t').next()?.parse::<u64>().ok());
        seeds.max().map_or(FIRST_NEW_SEED, |seed| seed + 1)
    }

    fn enter(&self, seed: u64, end: &Ended) {
        let line = match end {
            Ok(told) => format!(
                "{seed}\tok\t{:016x}\t{} blocks\t{} requests\t{} faults",
                told.trace, told.blocks, told.requests, told.faults
            ),
            Err(why) => {
                fs::write(self.folder.join(format!("failed-{seed}.txt")), why).expect("the ledger can be written to");
                format!("{seed}\tfailed")
            }
        };
        let mut file = OpenOptions::new().create(true).append(true).open(self.file()).expect("the ledger opens");
        writeln!(file, "{line}").expect("the ledger can be written to");
    }
}
