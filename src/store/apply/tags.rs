//! The first tags of a network's feedback, by the hash that aspects are named by.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;

use crate::event::{Tag, Text};
use crate::store::aspect::Aspect;
use crate::store::error::StoreError;
use crate::store::sql::{self, Sql, signed};

/// The tags that a batch tells.
#[derive(Default)]
pub(super) struct Tags {
    known: BTreeSet<Vec<u8>>,
    /// Tags that were not told before, with the block that tells each first.
    told: BTreeMap<Aspect, (u64, Text)>,
}

impl Tags {
    pub(super) async fn load(sql: &Sql<'_>, aspects: &BTreeSet<Aspect>) -> Result<Self, StoreError> {
        if aspects.is_empty() {
            return Ok(Self::default());
        }
        let aspects: Vec<&[u8]> = aspects.iter().map(Aspect::bytes).collect();
        let rows = sql.query("SELECT aspect FROM tag WHERE chain_id = $1 AND aspect = ANY($2)", &[&aspects]).await?;
        let known = rows.iter().map(|row| sql::column(row, "aspect")).collect::<Result<_, _>>()?;
        Ok(Self { known, ..Self::default() })
    }

    pub(super) fn fold(&mut self, block: u64, aspect: Aspect, tag: &Tag) {
        if let Tag::Text(text) = tag
            && !self.known.contains(aspect.bytes())
        {
            self.told.entry(aspect).or_insert_with(|| (block, text.clone()));
        }
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.told.is_empty() {
            return Ok(0);
        }
        let columns =
            [("aspect", Type::BYTEA), ("begin_block", Type::INT8), ("tag1", Type::TEXT), ("tag1_raw", Type::BYTEA)];
        let mut insert = sql.insert("tag", &columns).await?;
        for (aspect, (block, text)) in &self.told {
            insert.row(&[&aspect.bytes(), &signed(*block), &text.readable(), &text.raw_if_unclean()]).await?;
        }
        insert.finish().await
    }
}

/// Forgets the tags that were first told above a block.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute("DELETE FROM tag WHERE chain_id = $1 AND begin_block > $2", &[&signed(to)]).await?;
    Ok(())
}
