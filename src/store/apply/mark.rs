//! Where an event stands, for rows that point to it: two columns, NULL together where there is none.

use tokio_postgres::Row;

use super::timeline::Place;
use super::versions::{Cell, cell};
use crate::store::error::StoreError;
use crate::store::sql::{self, index, signed};

/// An event's block and its log's place in it: what a finding points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) block: u64,
    pub(super) log_index: u32,
}

impl From<&Place> for Mark {
    fn from(place: &Place) -> Self {
        Self { block: place.block, log_index: place.log_index }
    }
}

impl Mark {
    /// The mark in two columns, which are NULL together.
    pub(super) fn read(row: &Row, block: &str, log_index: &str) -> Result<Option<Self>, StoreError> {
        let Some(block) = sql::optional_number(row, block)? else { return Ok(None) };
        Ok(Some(Self { block, log_index: sql::unsigned_index(sql::column(row, log_index)?)? }))
    }

    /// The two columns' values.
    pub(super) fn cells(mark: Option<Self>) -> [Cell; 2] {
        [cell(mark.map(|mark| signed(mark.block))), cell(mark.map(|mark| index(mark.log_index)))]
    }
}
