//! Findings: what does not agree with the chain, and when one is the same as before.
//!
//! The words of a finding move: which endpoint says it, how many logs there are, at which block a registry was asked. So it
//! is named by kind, last block and subject, none of which moves. Else the same difference, told in other words, would be
//! counted as repaired and found anew.

use std::collections::BTreeSet;

use super::{Audited, Recorded};
use crate::block::Method;
use crate::id::Deployment;
use crate::store::error::StoreError;
use crate::store::sql::{self, Sql, signed};

/// Something that does not agree with the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is, in one word.
    pub kind: &'static str,
    /// The first block concerned.
    pub from: u64,
    /// The last block concerned.
    pub to: u64,
    /// Which difference of its kind and last block it is; empty where there can be but one.
    pub subject: String,
    /// What is stored, what the chain shows, and who says so.
    pub description: String,
    /// How it was shown.
    pub method: Method,
}

/// What names a finding: kind, last block, subject. The first block is none of it, because a hole in a counter narrows.
pub type Identity = (&'static str, u64, String);

impl Finding {
    /// What names it.
    #[must_use]
    pub fn identity(&self) -> Identity {
        (self.kind, self.to, self.subject.clone())
    }

    /// Whether it is the same difference, in whatever words.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        (self.kind, self.to, &self.subject) == (other.kind, other.to, &other.subject)
    }
}

/// Every kind of finding.
const KINDS: [&str; 10] = [
    "LOG_MISSING",
    "LOG_EXTRA",
    "LOG_DIFFERENT",
    "HEADER",
    "TIME",
    "ROW",
    "SEGMENT",
    "AGENT_GAP",
    "FEEDBACK_GAP",
    "CALL",
];

fn known_kind(kind: &str) -> Result<&'static str, StoreError> {
    KINDS.into_iter().find(|known| *known == kind).ok_or_else(|| sql::corrupt("a finding is of an unknown kind"))
}

/// What the subject of something within a deployment begins with; of the primary one nothing is said, as in ids.
pub(super) fn within(deployment: Deployment) -> String {
    if deployment == 0 { String::new() } else { format!("deployment {deployment} ") }
}

/// What is open and ends between two blocks.
pub(super) async fn read_open(sql: &Sql<'_>, from: u64, to: u64) -> Result<Vec<Finding>, StoreError> {
    let select = "SELECT kind, from_block, to_block, subject, description, method FROM verification_finding \
                  WHERE chain_id = $1 AND repaired_at IS NULL AND to_block BETWEEN $2 AND $3 ORDER BY finding_id";
    let rows = sql.query(select, &[&signed(from), &signed(to)]).await?;
    let finding = |row: &tokio_postgres::Row| {
        Ok(Finding {
            kind: known_kind(sql::column(row, "kind")?)?,
            from: sql::number(row, "from_block")?,
            to: sql::number(row, "to_block")?,
            subject: sql::column(row, "subject")?,
            description: sql::column(row, "description")?,
            method: Method::from_name(sql::column(row, "method")?)
                .ok_or_else(|| sql::corrupt("a method of verification is unknown"))?,
        })
    };
    rows.iter().map(finding).collect()
}

/// Closes what was open in the blocks that were looked at and was not found again, keeps what was in its newest words, and
/// enters the rest.
pub(super) async fn record(sql: &Sql<'_>, audited: &Audited) -> Result<Recorded, StoreError> {
    let columns = Columns::of(&audited.findings);
    let Columns { kinds, froms, tos, subjects, descriptions, methods } = &columns;
    let repaired = sql
        .execute(
            "UPDATE verification_finding f SET repaired_at = now() \
             WHERE chain_id = $1 AND repaired_at IS NULL AND to_block BETWEEN $2 AND $3 AND NOT EXISTS ( \
                 SELECT FROM unnest($4::text[], $5::bigint[], $6::text[]) AS found (kind, to_block, subject) \
                 WHERE (found.kind, found.to_block, found.subject) = (f.kind, f.to_block, f.subject))",
            &[&signed(audited.from), &signed(audited.to), kinds, tos, subjects],
        )
        .await?;
    sql.execute(
        "UPDATE verification_finding f SET from_block = found.from_block, description = found.description, \
             method = found.method \
         FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[]) \
             AS found (kind, from_block, to_block, subject, description, method) \
         WHERE f.chain_id = $1 AND f.repaired_at IS NULL \
         AND (f.kind, f.to_block, f.subject) = (found.kind, found.to_block, found.subject) \
         AND (f.from_block, f.description, f.method) <> (found.from_block, found.description, found.method)",
        &[kinds, froms, tos, subjects, descriptions, methods],
    )
    .await?;
    let entered = sql
        .query(
            "INSERT INTO verification_finding (chain_id, kind, from_block, to_block, subject, description, method) \
             SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[]) \
             ON CONFLICT (chain_id, kind, to_block, md5(subject)) WHERE repaired_at IS NULL DO NOTHING \
             RETURNING kind, to_block, subject",
            &[kinds, froms, tos, subjects, descriptions, methods],
        )
        .await?;
    let identity = |row: &tokio_postgres::Row| {
        Ok((known_kind(sql::column(row, "kind")?)?, sql::number(row, "to_block")?, sql::column(row, "subject")?))
    };
    let mut entered = entered.iter().map(identity).collect::<Result<BTreeSet<Identity>, StoreError>>()?;
    let new = audited.findings.iter().filter(|finding| entered.remove(&finding.identity())).cloned().collect();
    Ok(Recorded { new, repaired })
}

/// Findings as the arrays that statements take.
#[derive(Default)]
struct Columns<'a> {
    kinds: Vec<&'a str>,
    froms: Vec<i64>,
    tos: Vec<i64>,
    subjects: Vec<&'a str>,
    descriptions: Vec<&'a str>,
    methods: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(findings: &'a [Finding]) -> Self {
        let mut columns = Self::default();
        for finding in findings {
            columns.kinds.push(finding.kind);
            columns.froms.push(signed(finding.from));
            columns.tos.push(signed(finding.to));
            columns.subjects.push(&finding.subject);
            columns.descriptions.push(&finding.description);
            columns.methods.push(finding.method.name());
        }
        columns
    }
}
