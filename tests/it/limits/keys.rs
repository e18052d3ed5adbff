//! API keys as their operator and their holders meet them.

use crate::cli::{USAGE, refused};
use crate::support::postgres::{TestDatabase, connect};
use crate::support::program::{Meikan, config, meikan};
use crate::support::tables::texts;

const OWNER: &str = "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432";

/// A program on a database whose schema is up to date.
struct Operator {
    database: TestDatabase,
    config: String,
}

impl Operator {
    async fn start() -> Self {
        let config = config(&["http://127.0.0.1:1"]);
        let operator = Self { database: TestDatabase::create().await, config };
        assert_eq!(operator.program(&["migrate"]).end().await.code, Some(0));
        operator
    }

    fn program(&self, arguments: &[&str]) -> Meikan {
        meikan(arguments).config(&self.config).database(self.database.url())
    }

    /// What a command prints.
    async fn says(&self, arguments: &[&str]) -> String {
        let ended = self.program(arguments).end().await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        ended.stdout
    }

    /// A new key: the whole of it, and its id.
    async fn key(&self, tier: &str) -> (String, String) {
        let printed = self.says(&["key", "create", "--tier", tier, "--owner", OWNER]).await;
        let key = printed.trim().to_owned();
        let id = key.strip_prefix("mk_").and_then(|rest| rest.split('_').next()).expect("mk_<id>_<secret>").to_owned();
        (key, id)
    }
}

#[tokio::test]
async fn a_key_is_shown_once_holds_until_it_is_revoked_and_is_kept_as_a_hash() {
    let operator = Operator::start().await;
    let ((key, id), (_, other_id)) = (operator.key("pro").await, operator.key("free").await);
    let listed = operator.says(&["key", "list"]).await;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    for words in [&id, "pro", &OWNER.to_lowercase(), &other_id, "free"] {
        assert!(listed.contains(words), "{words} is missing: {listed}");
    }
    let secret = key.rsplit_once(&format!("{id}_")).unwrap().1;
    let client = connect(operator.database.url()).await;
    let rows = texts(&client, "SELECT to_jsonb(k)::text FROM api_key k").await.concat();
    assert!(!rows.contains(secret) && !listed.contains(secret), "{rows} {listed}");
    let revoked = operator.says(&["key", "revoke", &id]).await;
    assert!(revoked.starts_with(&id) && !revoked.trim_end().ends_with('-'), "{revoked}");
    assert_eq!(operator.says(&["key", "revoke", &id]).await, revoked, "it was revoked once");
}

#[tokio::test]
async fn a_mistyped_order_about_keys_is_refused() {
    let operator = Operator::start().await;
    let (key, _) = operator.key("free").await;
    for (arguments, said) in [
        (&["key"][..], "--help"),
        (&["key", "create", "--tier", "gold", "--owner", OWNER], "'gold'"),
        (&["key", "create", "--tier", "free"], "--owner"),
        (&["key", "create", "--tier", "free", "--owner", "0x12"], "0x12"),
        (&["key", "revoke", "0123456789ab"], "there is no key 0123456789ab; `meikan key list` lists the ids"),
        (&["key", "revoke", &key], "an id has 12 hexadecimal digits"),
    ] {
        refused(operator.program(arguments), USAGE, &[said]).await;
    }
}
