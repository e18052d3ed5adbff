//! What is read: questions of clients, as SQL.
//!
//! [`entity`] describes what can be asked for, once; from it come the conditions ([`filter`], `condition`), the orders
//! ([`order`], `cursor`) and the select lists. A question is answered within one [`Snapshot`], as of the blocks of a
//! [`Scope`], with one statement for each relation that is selected, whatever the number of rows (no N+1).
//!
//! What must always hold: a value that a client sent is a bound parameter, never text of a statement.

mod client;
mod condition;
mod cursor;
mod derived;
mod digest;
pub mod entity;
mod error;
pub mod filter;
mod forward;
mod id;
mod intents;
mod interval;
mod leaderboard;
mod load;
mod networks;
mod observed;
pub mod order;
mod pin;
mod select;
mod series;
mod snapshot;
mod source;
mod sql;
mod subscription;
mod summary;
mod validations;
mod value;

pub use self::client::{ClientOverlap, ClientQuestion, ClientReport, ClientRow, OverlapQuestion, OverlapRow};
pub use self::digest::DigestAt;
pub use self::error::QueryError;
pub use self::forward::{ForwardOutcome, ForwardQuestion};
pub use self::intents::{IntentQuestion, IntentSummary};
pub use self::interval::Interval;
pub use self::leaderboard::LeaderboardQuestion;
pub use self::load::{MAX_FIRST, finality_name};
pub(in crate::store) use self::networks::Networks;
pub use self::networks::{BlockInfo, Contracts, Network};
pub use self::observed::Observed;
pub use self::pin::{BlockPin, Place, Scope, When, wait_for_block, wait_for_commit};
pub use self::select::{Nested, Page, Record, Related, Selection};
pub use self::series::{SeriesInterval, SeriesPoint, SeriesQuestion};
pub use self::snapshot::{Limits, Snapshot};
pub use self::sql::Datum;
pub use self::subscription::{Batch, Message, Node, Subscriptions, Topic, Wanted};
pub use self::summary::{DecimalsGroup, Summary, SummaryQuestion, contract_summary};
pub use self::validations::{ValidationQuestion, ValidationSummary};
