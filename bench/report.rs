//! The table.

use std::fmt::Write;
use std::path::Path;

use crate::fill::Filled;
use crate::load::Load;
use crate::questions::Question;
use crate::sql::Floor;
use crate::traffic::Size;

/// A question, as of one block of one database.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) question: &'static Question,
    pub(crate) size: Size,
    /// As of the block half way.
    pub(crate) is_pinned: bool,
    /// Each answer worked out, and as clients ask: the same in the same words, which the node keeps.
    pub(crate) load: Load,
    pub(crate) kept: Load,
    /// What pgbench reached with the same statements.
    pub(crate) floor: Option<Floor>,
}

impl Row {
    pub(crate) fn goal_ms(&self) -> f64 {
        if self.is_pinned { self.question.goal_ms.1 } else { self.question.goal_ms.0 }
    }

    fn name(&self) -> String {
        format!("{}{}", self.question.name, if self.is_pinned { ", half way" } else { "" })
    }
}

/// A row for who watches.
pub(crate) fn line(row: &Row) -> String {
    let Load { per_second, p50_ms, p99_ms, given_up } = row.load;
    let mut floor = row
        .floor
        .map(|floor| format!(", pgbench {:.0}, p99 {:.2} ms", floor.per_second, floor.p99_ms))
        .unwrap_or_default();
    if given_up > 0.0 {
        let _ = write!(floor, ", {:.0} % given up", given_up * 100.0);
    }
    format!(
        "  {:9} {:40} {per_second:8.0} a second, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms{floor}; as asked {:.0}, p99 {:.2} ms",
        row.size.feedback,
        row.name(),
        row.kept.per_second,
        row.kept.p99_ms
    )
}

/// What is written.
pub(crate) struct Report {
    head: String,
    explained: String,
}

impl Report {
    pub(crate) fn new(connections: usize, postgres: &str) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let head = format!(
            "# Views\n\nOver HTTP, {connections} connections, a request at a time each; the node (release build), Postgres \
             {postgres} and the client share {cores} cores.\n\n"
        );
        Self { head, explained: String::new() }
    }

    /// A database was filled, or was full.
    pub(crate) fn filled(&mut self, size: Size, filled: Filled, sizes: &str) {
        let Size { agents, feedback, intents, .. } = size;
        let blocks = size.blocks();
        let rate = match filled.logs {
            0 => "it was there already".to_owned(),
            logs => format!("{logs} logs in {:.0} s, {:.0} a second", filled.seconds, logs as f64 / filled.seconds),
        };
        let line =
            format!("- {agents} agents, {feedback} feedback, {intents} intents in {blocks} blocks: {rate}; {sizes}\n");
        eprint!("{line}");
        self.head.push_str(&line);
    }

    /// A question took longer than it should.
    pub(crate) fn explained(&mut self, row: &Row, plans: &str) {
        let _ = writeln!(self.explained, "\n## {}\n\n```\n{plans}\n```", row.name());
    }

    /// Writes the table, in which each large row stands beside its small one, and what was written of writes.
    pub(crate) fn write(&self, path: &Path, rows: &[Row], writes: &str) {
        let mut text = self.head.clone();
        text.push_str(
            "\nEach answer worked out (no request is the same as another), and *as asked*: in the same words, of which the node \
             keeps the answers.\n\n\
             | question | requests/s | p50 ms | p99 ms | goal p99 | pgbench/s, p99 ms | share | cost beside the small database \
             | as asked, requests/s | p99 ms |\n|---|---|---|---|---|---|---|---|---|---|\n",
        );
        let largest = rows.iter().map(|row| row.size.feedback).max().unwrap_or_default();
        for row in rows.iter().filter(|row| row.size.feedback == largest) {
            let Load { per_second, p50_ms, p99_ms, given_up } = row.load;
            let goal = row.goal_ms();
            let (floor, share) = match row.floor {
                Some(floor) => {
                    let share = per_second / floor.per_second;
                    let goal = row.question.goal_of_pgbench.filter(|_| !row.is_pinned);
                    let is_missed = goal.is_some_and(|goal| share < goal);
                    (
                        format!("{:.0}, {:.2}", floor.per_second, floor.p99_ms),
                        format!("{share:.2}{}", if is_missed { " (missed)" } else { "" }),
                    )
                }
                None => (String::new(), String::new()),
            };
            let small = rows.iter().find(|other| {
                other.size != row.size && (other.question.name, other.is_pinned) == (row.question.name, row.is_pinned)
            });
            let cost = small.map(|small| format!("{:.2}", small.load.per_second / per_second)).unwrap_or_default();
            let missed = match given_up {
                0.0 if p99_ms <= goal => String::new(),
                0.0 => " (missed)".to_owned(),
                _ => format!(" ({:.0} % given up)", given_up * 100.0),
            };
            let kept = row.kept;
            let still_missed = if kept.p99_ms > goal { " (missed)" } else { "" };
            let _ = writeln!(
                text,
                "| {} | {per_second:.0} | {p50_ms:.2} | {p99_ms:.2}{missed} | {goal} | {floor} | {share} | {cost} \
                 | {:.0} | {:.2}{still_missed} |",
                row.name(),
                kept.per_second,
                kept.p99_ms
            );
        }
        text.push_str(writes);
        text.push_str(&self.explained);
        std::fs::write(path, &text).expect("the table can be written");
        println!("{text}");
    }
}
