//! Names of tables: none is ever cut to what Postgres takes (F58). It makes up those of their indexes itself, each once.

use super::chain::Chain;
use super::support::{Fixture, follow};

/// Postgres cuts longer names without an error, and two that begin alike become one.
const MAX_NAME_BYTES: i32 = 63;

#[tokio::test]
async fn f58_no_name_is_cut_however_large_the_chain_id() {
    let fixture = Fixture::create().await;
    let chain_id = u64::try_from(i64::MAX).unwrap();
    let mut writer = fixture.writer(chain_id).await;
    let mut chain = Chain::default();
    chain.empty().empty();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    let longest = "SELECT max(octet_length(relname)) FROM pg_class \
                   WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')";
    let longest: i32 = fixture.client.query_one(longest, &[]).await.unwrap().get(0);
    assert!(longest < MAX_NAME_BYTES, "a name of {longest} bytes may have been cut");
    // The end of a partition's name, the part that would be cut, is there.
    let last = format!("agent_total_version_{chain_id}");
    assert_eq!(fixture.texts(&format!("SELECT relname::text FROM pg_class WHERE relname = '{last}'")).await, [last]);
}
