//! The standings and totals, which a backfill of a new network leaves for its end.

use super::Writer;
use super::apply::{self, CountedTo, StandingsAre};
use super::error::StoreError;
use super::step::{Cursor, Step};
use crate::id::AgentKey;

/// Feedback and responses that are counted at once, about; fewer where a step of a re-index derives fewer logs.
const PIECE_ROWS: u64 = 16_000;

/// The index that counting itself needs, and builds: responses are looked up by their agents.
pub(super) const COUNTING_INDEX: &str = "feedback_response_agent";

/// The tables that it writes to.
pub(super) const COUNTED_TABLES: [&str; 4] = ["agent_total", "standing", "standing_version", "ranking_version"];

/// Some of the standings, which were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The last agent of them; nothing when all are.
    pub to: Option<AgentKey>,
}

/// How far standings are counted.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    /// Of this commit: what is committed later may speak of those that were counted.
    seq: u64,
    to: CountedTo,
}

impl Writer {
    /// Whether the network is without its standings.
    #[must_use]
    pub fn is_without_standings(&self) -> bool {
        self.without_standings
    }

    /// Counts the standings of some more agents, where a backfill left them; nothing where it did not. If blocks are committed
    /// in between, or the process dies, all are counted anew: nobody reads them before they are all there.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the database says.
    pub(super) async fn count_standings(&mut self) -> Result<Option<Counted>, StoreError> {
        if !self.without_standings {
            return Ok(None);
        }
        // Whoever is dropped before the end does not know what was committed, and counts anew.
        let (counted, piece_rows) = (self.counted.take(), self.reindex_step_logs.min(PIECE_ROWS));
        let step = self.begin("count standings").await?;
        let seq = step.cursor.seq;
        let to = match step.standings_are {
            StandingsAre::Late => {
                let counted = counted.filter(|counted| counted.seq == seq).map(|counted| counted.to);
                step.count_standings(counted, piece_rows).await?
            }
            // The last piece was committed, and its answer was lost.
            StandingsAre::Kept => {
                drop(step);
                None
            }
        };
        self.without_standings = to.is_some();
        self.counted = to.map(|to| Progress { seq, to });
        Ok(Some(Counted { to: to.map(|to| to.agent) }))
    }
}

impl Step<'_> {
    /// Those of the next pieces; returns how far they are counted, or nothing when all are.
    async fn count_standings(
        self,
        counted: Option<CountedTo>,
        piece_rows: u64,
    ) -> Result<Option<CountedTo>, StoreError> {
        if counted.is_none() {
            apply::forget_counted(&self.sql).await?;
            // What has much feedback is known by its totals.
            apply::count_totals(&self.sql).await?;
            self.sql.execute("SELECT build_reader_index($1, $2)", &[&COUNTING_INDEX]).await?;
        }
        let finalized = self.cursor.finalized.map(|block| block.number);
        let to = apply::count_late(&self.sql, counted, piece_rows, finalized).await?;
        if to.is_some() {
            self.sql.commit().await?;
        } else {
            self.have_standings().await?;
        }
        Ok(to)
    }

    /// Commits that they are all there, with a number of its own: questions are answered that were refused.
    async fn have_standings(self) -> Result<(), StoreError> {
        self.sql.execute("UPDATE network SET has_standings = TRUE WHERE chain_id = $1", &[]).await?;
        let after = Cursor { seq: self.cursor.seq + 1, ..self.cursor };
        self.commit(&after).await
    }
}
