//! One commit for all documents of a network that wait when the commit before is done.
//!
//! A commit waits for the disk, whatever it holds; and a network's documents are taken one commit after the other. Whoever
//! hands in a document alone waits for one commit, and of many who come at once nobody waits for more than two.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{away, trail};
use crate::config;
use crate::document::{Kind, Reason, Refusal};
use crate::id::ChainId;
use crate::metrics;
use crate::store::{Attempt, Handed, Outcome, Store};

/// The most documents of one commit.
const MOST: usize = 256;

/// What is told of a document: what became of it, and the number of the commit.
type Answer = Result<(Outcome, u64), Refusal>;

/// A document that waits.
struct Waiting {
    handed: Handed,
    answer: oneshot::Sender<Answer>,
}

/// Where the documents of a network wait.
pub(super) struct Desk {
    waiting: mpsc::Sender<Waiting>,
}

impl Desk {
    /// Opens it; it closes when nobody can hand in anything more.
    pub(super) fn new(store: Arc<Store>, network: &config::Network) -> Self {
        let (waiting, queue) = mpsc::channel(MOST);
        tokio::spawn(keep_taking(store, network.chain_id, network.name.clone(), queue));
        Self { waiting }
    }

    /// Hands a document in, and waits until it is taken or refused. A document of somebody who does not wait any more may be
    /// taken all the same.
    pub(super) async fn hand_in(&self, handed: Handed) -> Answer {
        let ended = || Reason::Unavailable.because("the node is stopping; hand the document in again later");
        let (answer, told) = oneshot::channel();
        self.waiting.send(Waiting { handed, answer }).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?
    }
}

async fn keep_taking(store: Arc<Store>, chain_id: ChainId, network: String, mut queue: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(MOST);
    while queue.recv_many(&mut batch, MOST).await > 0 {
        let (handed, answers): (Vec<_>, Vec<_>) = batch.drain(..).map(|one| (one.handed, one.answer)).unzip();
        match store.accept(chain_id, &handed).await {
            Ok(accepted) => {
                for (agent, count) in accepted.flips {
                    metrics::count_flips(&network, "SIGNED", agent, count.flips, count.suspicious);
                }
                for ((one, answer), outcome) in handed.iter().zip(answers).zip(accepted.outcomes) {
                    trail::tell(&Attempt::of(one, chain_id, &outcome));
                    if one.kind == Kind::CycleReport && outcome == Ok(Outcome::Accepted) {
                        ::metrics::counter!(metrics::CYCLE_REPORTS, "network" => network.clone()).increment(1);
                    }
                    // Whoever has gone does not want to know.
                    let _ = answer.send(outcome.map(|outcome| (outcome, accepted.seq)));
                }
            }
            Err(error) => {
                let refusal = away(&error);
                for answer in answers {
                    let _ = answer.send(Err(refusal.clone()));
                }
            }
        }
    }
}
