//! `meikan audit`: what is stored, held against the chain on demand. It only reads, so it may run beside a process that
//! writes; what it finds is repaired by that process' own audit, or by `meikan reindex`.

use std::collections::BTreeSet;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::audit::{AuditError, Auditor, STRETCH_BLOCKS, Settings, Stretch, Verdict, watch};
use crate::block::{BlockRef, Method};
use crate::chain::Chain;
use crate::config::{self, Config, ConfigError};
use crate::follow::{BARS, Counter, Repair};
use crate::store::Store;
use crate::store::verification::Standing;

use super::{AppError, Exit, open_database, say, until_interrupted};

/// Times that a stretch above finality is looked at before what differs is believed: it may change meanwhile.
const MAX_LOOKS: usize = 3;

/// What is to be audited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditOptions {
    /// Only this network; all of them otherwise.
    pub network: Option<String>,
    /// The first block; the network's start block otherwise.
    pub from: Option<u64>,
    /// The last block; the newest one that is indexed otherwise.
    pub to: Option<u64>,
}

/// Audits in the background for as long as what it returns is kept: while a follower writes, and with its endpoints.
pub(super) fn in_background(network: &config::Network, store: &Arc<Store>, counter: Counter) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if network.follow.audit {
        tasks.spawn(audit_beside(network.clone(), Arc::clone(store), counter));
    }
    tasks
}

async fn audit_beside(network: config::Network, store: Arc<Store>, counter: Counter) {
    let Counter { mut writing, orders } = counter;
    let repair = |blocks| {
        let orders = orders.clone();
        async move {
            let (done, repaired) = oneshot::channel();
            orders.send(Repair { blocks, done }).await.is_ok() && repaired.await.unwrap_or(false)
        }
    };
    loop {
        let chain = writing.borrow_and_update().clone();
        let audit = async {
            let Some(chain) = chain else { return std::future::pending().await };
            let auditor = Auditor::new(&network, chain, Arc::clone(&store), Settings::gentle(&network));
            watch(&auditor, &repair).await;
        };
        tokio::select! {
            () = audit => {}
            changed = writing.changed() => if changed.is_err() { return },
        }
    }
}

/// Audits and says what differs, a line each.
///
/// # Errors
/// [`AppError`] of the configuration, the database or the chain.
pub async fn audit(config: Config, options: &AuditOptions) -> Result<Exit, AppError> {
    if let Some(name) = &options.network
        && config.networks.iter().all(|network| network.name != *name)
    {
        let known: Vec<&str> = config.networks.iter().map(|network| network.name.as_str()).collect();
        let reason = format!("no network is named {name:?}; the configuration has {}", known.join(", "));
        return Err(ConfigError::Invalid(reason).into());
    }
    until_interrupted(async {
        let database = open_database(&config).await?;
        let result = audit_all(&config, &database.store, options).await;
        database.close().await;
        result
    })
    .await
}

async fn audit_all(config: &Config, store: &Arc<Store>, options: &AuditOptions) -> Result<Exit, AppError> {
    store.check_schema().await?;
    let (mut exit, mut compared) = (Exit::Done, false);
    let named = |network: &&config::Network| options.network.as_ref().is_none_or(|name| *name == network.name);
    for network in config.networks.iter().filter(named) {
        let of_network =
            |source: AuditError| AppError::Audit { network: network.name.clone(), source: Box::new(source) };
        match audit_network(network, store, options).await.map_err(of_network)? {
            Some(0) => compared = true,
            Some(_) => (compared, exit) = (true, Exit::Difference),
            None => {}
        }
    }
    // A check of a range that is wrong must not look like one that found everything equal.
    if !compared && (options.from.is_some() || options.to.is_some()) {
        let reason = "no block of the range of --from and --to is indexed, so nothing was compared; give a range that \
                      begins at or below its end and at or below the newest block that is indexed";
        return Err(AppError::Usage { reason: reason.into() });
    }
    Ok(exit)
}

/// Audits one network; returns how much differs, nothing where no block of the range is indexed.
async fn audit_network(
    network: &config::Network,
    store: &Arc<Store>,
    options: &AuditOptions,
) -> Result<Option<usize>, AuditError> {
    let name = &network.name;
    let standing = store.standing(network.chain_id).await?;
    let Some((from, to)) = bounds(&standing, options) else {
        say(&format!("{name}: no block of that range is indexed; nothing is compared"));
        return Ok(None);
    };
    let chain = Arc::new(Chain::connect(network).await?);
    let auditor = Auditor::new(network, chain, Arc::clone(store), Settings::thorough(network));
    let mut tally = Tally::new(name, from, to);
    let mut below = None;
    let mut next = from;
    while next <= to {
        let finalized = store.standing(network.chain_id).await?.finalized;
        let end = end_of(next, to, finalized);
        let stretch = Stretch { from: next, to: end, below, finalized, verified_by: tally.method };
        let verdict = look(&auditor, stretch).await?;
        below = verdict.hash;
        tally.take(verdict);
        next = end + 1;
    }
    Ok(Some(tally.close(from, to)))
}

/// The blocks to look at, as far as they are indexed.
fn bounds(standing: &Standing, options: &AuditOptions) -> Option<(u64, u64)> {
    let tip = standing.tip?.number;
    let from = options.from.unwrap_or(0).max(standing.start);
    let to = options.to.unwrap_or(tip).min(tip);
    (from <= to).then_some((from, to))
}

/// A stretch ends at finality, so that what may change is looked at apart.
fn end_of(from: u64, to: u64, finalized: Option<BlockRef>) -> u64 {
    let end = to.min(from + STRETCH_BLOCKS - 1);
    match finalized {
        Some(finalized) if from <= finalized.number => end.min(finalized.number),
        _ => end,
    }
}

/// Looks at a stretch; above finality again where something differs, because it may just have been reorganised.
async fn look(auditor: &Auditor, stretch: Stretch) -> Result<Verdict, AuditError> {
    let is_final = stretch.finalized.is_some_and(|finalized| stretch.to <= finalized.number);
    let mut verdict = auditor.verify(stretch).await?;
    for _ in 1..MAX_LOOKS {
        if is_final || verdict.findings.is_empty() {
            break;
        }
        verdict = auditor.verify(Stretch { below: None, ..stretch }).await?;
    }
    Ok(verdict)
}

/// What was seen so far.
struct Tally {
    network: String,
    bar: ProgressBar,
    differences: usize,
    method: Option<Method>,
    proven_blocks: u64,
    untold: BTreeSet<String>,
}

impl Tally {
    fn new(network: &str, from: u64, to: u64) -> Self {
        let style =
            ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} blocks · {per_sec} · {eta} left · {msg}")
                .expect("the template is constant and valid");
        let bar = BARS.add(ProgressBar::new(to - from + 1)).with_style(style).with_prefix(network.to_owned());
        Self { network: network.into(), bar, differences: 0, method: None, proven_blocks: 0, untold: BTreeSet::new() }
    }

    fn take(&mut self, verdict: Verdict) {
        self.bar.inc(verdict.stretch.to - verdict.stretch.from + 1);
        for finding in &verdict.findings {
            let blocks = match (finding.from, finding.to) {
                (from, to) if from == to => format!("block {from}"),
                (from, to) => format!("blocks {from} to {to}"),
            };
            let (kind, method) = (finding.kind, finding.method.name());
            let line = format!("{}: {blocks}: {kind}: {} ({method})", self.network, finding.description);
            BARS.suspend(|| say(&line));
        }
        self.differences += verdict.findings.len();
        self.proven_blocks += verdict.proven_blocks;
        self.method = Some(self.method.map_or(verdict.method, |method| method.min(verdict.method)));
        self.untold.extend(verdict.untold);
        self.bar.set_message(format!("{} differences", self.differences));
    }

    fn close(self, from: u64, to: u64) -> usize {
        self.bar.finish_and_clear();
        for sentence in &self.untold {
            say(&format!("{}: could not be told: {sentence}", self.network));
        }
        let method = self.method.map_or("nothing", Method::name);
        say(&format!(
            "{}: blocks {from} to {to}: {} differences, by {method} or better; {} blocks by receipts root",
            self.network, self.differences, self.proven_blocks
        ));
        self.differences
    }
}
