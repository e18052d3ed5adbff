//! What analysts read: documented views, a role that can read nothing else, and a page of queries that are all run.

use meikan::config::Database;
use meikan::store::Store;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::demo_queries::node;
use crate::graphql::support::Node;
use crate::support::postgres::{TestDatabase, connect};

/// The page whose queries are run.
const PAGE: &str = include_str!("../../docs/analytics.md");

async fn migrated() -> TestDatabase {
    let database = TestDatabase::create().await;
    let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
    store.migrate().await.unwrap();
    database
}

/// A connection of that role.
async fn as_role(url: &str, role: &str) -> Client {
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.user(role);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("the role may log in");
    tokio::spawn(connection);
    client
}

/// The first column of each row.
async fn texts(client: &Client, select: &str) -> Vec<String> {
    client.query(select, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// The statements in the page's code blocks, but for those that make the role.
fn queries() -> Vec<&'static str> {
    let blocks = PAGE.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap().trim());
    blocks.filter(|block| block.starts_with("SELECT")).collect()
}

#[tokio::test]
async fn every_view_and_every_column_says_what_it_means() {
    let database = migrated().await;
    let client = connect(database.url()).await;
    let silent = "SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_class c \
                  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
                  WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind = 'v' \
                  AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)";
    assert_eq!(texts(&client, silent).await, Vec::<String>::new());
    let views = "SELECT relname::text FROM pg_class WHERE relnamespace = 'analytics'::regnamespace AND relkind = 'v' \
                 ORDER BY 1";
    let untold = |view: &String| !PAGE.contains(&format!("`{view}`"));
    let views = texts(&client, views).await;
    assert!(!views.is_empty() && !views.iter().any(untold), "the page names all of {views:?}");
}

#[tokio::test]
async fn the_reader_s_role_can_read_the_views_and_nothing_else() {
    let database = migrated().await;
    let reader = as_role(database.url(), "meikan_reader").await;
    let select = "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
                  AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%'";
    let (mut read, mut refused) = (0, 0);
    for relation in texts(&reader, select).await {
        match reader.query(&format!("SELECT * FROM {relation} LIMIT 1"), &[]).await {
            Ok(_) => {
                assert!(relation.starts_with("analytics."), "{relation} can be read");
                read += 1;
            }
            Err(error) => {
                assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{relation}: {error}");
                assert!(!relation.starts_with("analytics."), "{relation} cannot be read");
                refused += 1;
            }
        }
    }
    assert!(read >= 18 && refused > 20, "{read} read, {refused} refused");
    for write in ["CREATE TABLE analytics.mine ()", "CREATE TEMP TABLE mine ()", "DELETE FROM public.network"] {
        assert!(reader.batch_execute(write).await.is_err(), "{write}");
    }
    // Also where somebody takes the guard off that is only a setting.
    reader.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    let written = reader.batch_execute("DELETE FROM public.network").await.unwrap_err();
    assert_eq!(written.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    let timeout: String = reader.query_one("SHOW statement_timeout", &[]).await.unwrap().get(0);
    assert_eq!(timeout, "1min");
}

#[tokio::test]
async fn every_query_of_the_page_is_answered_for_the_reader() {
    let node: Node = node().await;
    let reader = as_role(node.database.url(), "meikan_reader").await;
    let queries = queries();
    assert!(queries.len() >= 9, "{} queries", queries.len());
    for query in queries {
        let rows = reader.query(query, &[]).await.unwrap_or_else(|error| panic!("{query}\n{error:?}"));
        assert!(!rows.is_empty(), "nothing answers {query}");
    }
}

#[tokio::test]
async fn the_views_say_what_the_answers_say() {
    let node: Node = node().await;
    let reader = as_role(node.database.url(), "meikan_reader").await;
    let answer = node.ask("{ agents(first: 1000) { id owner agentWallet totalFeedback createdAt } }").await;
    let mut answered: Vec<String> = answer["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| {
            let text = |field: &str| agent[field].as_str().unwrap_or("none").to_owned();
            ["id", "owner", "agentWallet", "totalFeedback", "createdAt"].map(text).join(" ")
        })
        .collect();
    let select = "SELECT concat_ws(' ', chain_id || ':' || agent_id, owner, coalesce(wallet, 'none'), feedback_active, \
                  extract(epoch FROM created_at)::bigint) FROM analytics.agents WHERE deployment = 0";
    let mut viewed = texts(&reader, select).await;
    answered.sort();
    viewed.sort();
    assert!(!viewed.is_empty());
    assert_eq!(viewed, answered);
    let daily = "SELECT (SELECT count(*) FROM analytics.feedback)::text || ' ' || sum(given)::text || ' ' || \
                 (SELECT sum(given) FROM analytics.clients)::text FROM analytics.feedback_daily";
    let counts = texts(&reader, daily).await;
    let counts: Vec<&str> = counts[0].split(' ').collect();
    assert!(counts[0] != "0" && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

#[tokio::test]
async fn a_user_that_may_not_make_roles_can_migrate() {
    let database = TestDatabase::create().await;
    let admin = connect(database.url()).await;
    let owner = format!("owner_{}", std::process::id());
    let name: String = admin.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
    admin.batch_execute(&format!("CREATE ROLE {owner} LOGIN; ALTER DATABASE {name} OWNER TO {owner}")).await.unwrap();
    // The server trusts whoever comes by its socket.
    let (scheme, rest) = database.url().split_once("://").unwrap();
    let url = format!("{scheme}://{owner}@{}", rest.split_once('@').map_or(rest, |(_, host)| host));
    let store = Store::connect(&Database { url, ..Database::default() }).await.unwrap();
    assert!(store.migrate().await.unwrap() > 0);
    let views = texts(&admin, "SELECT count(*)::text FROM pg_views WHERE schemaname = 'analytics'").await;
    assert_ne!(views, ["0"]);
    drop(store);
    admin.batch_execute(&format!("REASSIGN OWNED BY {owner} TO CURRENT_USER; DROP ROLE {owner}")).await.unwrap();
}
