//! `meikan reindex`: rewinds a network to below a block and ingests again, and says what that changed.

use crate::config::{self, Config};
use crate::follow::{self, Reindex, Report};
use crate::store::{Preview, Source};

use super::{AppError, Exit, open_database, say, until_interrupted};

/// Re-indexes the network of that name, or the only one.
///
/// # Errors
/// [`AppError`]; nothing is half done after one.
pub async fn reindex(config: Config, network: Option<&str>, asked: Reindex) -> Result<Exit, AppError> {
    let network = chosen(&config, network)?.clone();
    // Boxed, because what a step of the follower holds is large.
    let work = Box::pin(async {
        let database = open_database(&config).await?;
        let done = async {
            // A dry run writes nothing at all.
            if asked.dry_run {
                database.store.check_schema().await?
            } else {
                database.store.migrate().await.map(drop)?
            }
            follow::reindex(&database.store, &network, &asked).await.map_err(|error| of_network(&network, error))
        };
        let report = done.await;
        database.close().await;
        tell(&network, &asked, &report?);
        Ok(Exit::Done)
    });
    until_interrupted(work).await
}

fn chosen<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a config::Network, AppError> {
    let names = || config.networks.iter().map(|network| network.name.as_str()).collect::<Vec<_>>().join(", ");
    let usage = |reason: String| AppError::Usage { reason };
    match (name, config.networks.as_slice()) {
        (None, [network]) => Ok(network),
        (None, _) => {
            Err(usage(format!("several networks are configured; name one of them with --network: {}", names())))
        }
        (Some(name), networks) => networks
            .iter()
            .find(|network| network.name == name)
            .ok_or_else(|| usage(format!("no network is called {name:?}; the configured ones are: {}", names()))),
    }
}

fn of_network(network: &config::Network, source: follow::ReindexError) -> AppError {
    AppError::Reindex { network: network.name.clone(), source: Box::new(source) }
}

/// Prints what was undone and what is there in its place.
fn tell(network: &config::Network, asked: &Reindex, report: &Report) {
    let before = &report.before;
    let source = match asked.source {
        Source::Rpc => "the chain",
        Source::Store => "the raw logs that are stored",
    };
    let did = if asked.dry_run { "would be re-indexed" } else { "re-indexed" };
    let name = &network.name;
    if before.blocks == 0 {
        return say(&format!("network {name}: nothing is indexed from block {} on, so nothing changes", before.from));
    }
    say(&format!("network {name}: blocks {} to {} {did} from {source}", before.from, before.tip));
    if let Some(shared) = report.shared {
        say(&format!("newest block shared with the chain: {shared}"));
    }
    if let Some(finalized) = before.finalized.filter(|finalized| finalized.number >= before.from) {
        say(&format!("final blocks among them: {}", finalized.number - before.from + 1));
    }
    table(before, report.after.as_ref()).iter().for_each(|line| say(line));
    if asked.dry_run {
        say("nothing was changed (--dry-run)");
    }
}

/// Counts side by side: before, and after where there is one.
fn table(before: &Preview, after: Option<&Preview>) -> Vec<String> {
    let counts = |preview: &Preview| {
        let own = [("blocks", preview.blocks), ("raw logs", preview.logs), ("agents touched", preview.agents)];
        own.into_iter().chain(preview.rows.iter().copied()).collect::<Vec<_>>()
    };
    let (before, after) = (counts(before), after.map(counts));
    let mut lines = vec![match after {
        Some(_) => format!("{:<24}{:>12}{:>12}", "from that block on", "before", "after"),
        None => format!("{:<24}{:>12}", "from that block on", "undone"),
    }];
    for (place, (name, count)) in before.iter().enumerate() {
        let name = if place < 3 { (*name).to_owned() } else { format!("rows of {name}") };
        lines.push(match &after {
            Some(after) => format!("{name:<24}{count:>12}{:>12}", after[place].1),
            None => format!("{name:<24}{count:>12}"),
        });
    }
    lines
}
