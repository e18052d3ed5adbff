//! Random histories with forks, cut into random batches: "rewind, then apply" must leave what applying alone leaves
//! (F19, F66), on one of several networks (F21).

use super::chain::{Chain, START, aged};
use super::random::Random;
use super::support::{Fixture, follow};
use crate::digest::{digests, naive};

/// Histories that are played; each has its seed as its chain id.
const HISTORIES: u64 = 20;
/// Steps of a history at most, so that every history ends.
const MAX_STEPS: u64 = 60;

/// Plays a chain with detours: random batches, random forks, finality that rises now and then.
async fn play(fixture: &Fixture, random: &mut Random, chain_id: u64, chain: &Chain, finalized: u64) {
    let mut writer = fixture.writer(chain_id).await;
    let mut at = START - 1;
    let mut known = None;
    for step in 0..MAX_STEPS {
        // Along the chain; finality may follow, also without blocks.
        let to = random.between(at.max(START), chain.tip().min(at.max(START) + 8));
        if to > at {
            let rise = random.between(known.unwrap_or(START), to.max(known.unwrap_or(START))).min(finalized).min(to);
            let rise = if random.below(2) == 0 && rise >= START { Some(rise) } else { None };
            follow(&mut writer, chain, None, to, rise).await.unwrap();
            known = known.max(rise);
            at = to;
        }
        if random.below(4) == 0 {
            let rise = random.between(START, at).min(finalized);
            writer.finalize(Some(chain.block(rise)), Some(at)).await.unwrap();
            known = known.max(Some(rise));
        }
        if at == chain.tip() {
            break;
        }
        if random.below(2) == 0 {
            // A fork from here or from further down; then back, possibly to below where it left.
            let leave = random.between(known.unwrap_or(START), at);
            let mut fork = chain.fork(leave, step + 1);
            for _ in 0..random.between(1, 6) {
                fork.add(random.logs().into_iter().map(aged).collect());
            }
            follow(&mut writer, &fork, Some(leave), fork.tip(), None).await.unwrap();
            let back = random.between(known.unwrap_or(START), leave);
            let to = random.between(back, chain.tip().min(back + 4));
            follow(&mut writer, chain, Some(back), to, None).await.unwrap();
            at = to;
        }
    }
    if at < chain.tip() {
        follow(&mut writer, chain, None, chain.tip(), None).await.unwrap();
    }
    writer.finalize(Some(chain.block(finalized)), None).await.unwrap();
}

#[tokio::test]
async fn f66_a_rewound_history_equals_a_fresh_one() {
    let (forked, fresh) = tokio::join!(Fixture::create(), Fixture::create());
    for seed in 1..=HISTORIES {
        let mut random = Random(seed);
        let mut chain = Chain::default();
        for _ in 0..random.between(5, 40) {
            chain.add(random.logs().into_iter().map(aged).collect());
        }
        let finalized = random.between(START, chain.tip());
        play(&forked, &mut random, seed, &chain, finalized).await;
        let mut writer = fresh.writer(seed).await;
        follow(&mut writer, &chain, None, chain.tip(), Some(finalized)).await.unwrap();
        let (rewound, expected) = (forked.dump(seed).await, fresh.dump(seed).await);
        for (table, rows) in &expected {
            assert_eq!(&rewound[table], rows, "{table} differs after seed {seed}");
        }
        // The state digest is the same at every block, and what a naive program makes of the chain.
        let (rewound, expected) = tokio::join!(
            digests(&forked.store, seed, START..=chain.tip()),
            digests(&fresh.store, seed, START..=chain.tip())
        );
        assert_eq!(rewound, expected, "the digests differ after seed {seed}");
        assert_eq!(expected, naive(seed, &chain), "the digests are wrong after seed {seed}");
        let (rewound, expected) = (forked.changes(seed, finalized).await, fresh.changes(seed, finalized).await);
        assert_eq!(rewound, expected, "the changes that hold differ after seed {seed}");
    }
    // Every history is a network of its own: none has touched another (F21).
    for seed in 1..=HISTORIES {
        assert_eq!(forked.dump(seed).await, fresh.dump(seed).await, "network {seed} changed under another's rewinds");
    }
}
