//! Secrets that stay secret: in logs, answers, metrics and refusals, whatever fails.

use rustix::process::Signal;

use super::support::{ALWAYS, busy_chain, ends, registered};
use crate::support::fake_chain::Fault;
use crate::support::postgres::{self, connect};
use crate::support::program::{config, dead_address, meikan};
use crate::support::tcp_postgres::TcpPostgres;

/// What must not be seen: in the user, path and query of endpoints, and as the database's password.
const SECRETS: [&str; 5] = ["sesame-user-1", "sesame-word-1", "sesame-path-2", "sesame-query-3", "sesame-word-4"];

/// The same endpoint with secrets in every part of its URL.
fn with_secrets(url: &str) -> String {
    let [user, word, path, key, _] = SECRETS;
    url.replacen("://", &format!("://{user}:{word}@"), 1) + &format!("/{path}?key={key}")
}

fn assert_no_secret(what: &str, text: &str) {
    for secret in SECRETS {
        if let Some(at) = text.find(secret) {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            panic!("{secret} is in {what}: {}", text[line..].lines().next().unwrap_or_default());
        }
    }
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    for format in ["text", "json"] {
        let mut server = TcpPostgres::start(&postgres::bin_dir(), SECRETS[4]).await;
        let url = server.url();
        let chain = busy_chain(5);
        let broken = chain.another_endpoint();
        for method in ["eth_chainId", "eth_getBlockByNumber"] {
            let echo = format!("{} and {} of {}", SECRETS[1], SECRETS[2], with_secrets(&broken.url()));
            broken.fail(method, ALWAYS, Fault::Http(401, None, echo));
        }
        let dead = dead_address();
        let urls = [
            format!("http://{dead}"),
            format!("ws://{dead}"),
            broken.url(),
            "http://nowhere.invalid".into(),
            chain.url(),
            chain.endpoint().ws_url().replace("/ws", ""),
        ]
        .map(|url| with_secrets(&url));
        let text = config(&urls.each_ref().map(String::as_str)).replace("[api]", "[api]\nready_lag_seconds = 1");
        let program = |command: &str| {
            let level = "meikan=trace,warn";
            meikan(&[command, "--log-format", format]).config(&text).database(&url).env("RUST_LOG", level)
        };
        let checked = program("check").end().await;
        assert_eq!(checked.code, Some(4), "{checked:#?}");
        assert_no_secret("check", &format!("{checked:?}"));

        let mut running = program("run").start();
        let site = running.site().await;
        site.indexed(5).await;
        let mut answers = String::new();
        // The chain fails in passing and for good, then the database's tables, then the database.
        let words = format!("limit of {} reached, see {}", SECRETS[3], with_secrets("https://rpc.example"));
        chain.endpoint().fail("eth_getLogs", 2, Fault::Http(429, Some(0), words.clone()));
        chain.endpoint().fail("eth_getLogs", 2, Fault::Error(-32_000, words.clone()));
        chain.endpoint().fail("eth_getLogs", 2, Fault::Text(words.clone()));
        chain.mine([registered(50)]);
        running.logged("a step failed").await;
        site.indexed(6).await;
        answers += &site.ask("{ nonsense }").await.body;
        answers += &site.get("/metrics").await.body;
        let client = connect(&server.url()).await;
        client
            .batch_execute("ALTER TABLE feedback RENAME TO gone; ALTER TABLE agent RENAME TO gone_too")
            .await
            .unwrap();
        let failed = site.ask("{ agents { id } feedbacks { id } }").await;
        assert!(failed.body.contains("INTERNAL"), "{failed:?}");
        answers += &failed.body;
        client
            .batch_execute("ALTER TABLE gone RENAME TO feedback; ALTER TABLE gone_too RENAME TO agent")
            .await
            .unwrap();
        drop(client);
        server.stop();
        let red = site.until("/ready", |answer| answer.body.contains("the database does not answer")).await;
        answers += &red.body;
        let unavailable = site.ask("{ agents { id } }").await;
        assert!(unavailable.body.contains("UNAVAILABLE"), "{unavailable:?}");
        answers += &unavailable.body;
        answers += &site.get("/metrics").await.body;
        running.logged("cannot become the writer yet").await;
        assert_no_secret("answers", &answers);
        let ended = ends(running, Signal::TERM, 143).await;
        let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert!(ended.stderr.lines().all(|line| is_json(line) == (format == "json")), "{ended:#?}");
        assert_no_secret("the log", &format!("{}{}", ended.stdout, ended.stderr));
        assert!(ended.stderr.contains(&dead) && ended.stderr.contains("nowhere.invalid"), "the endpoints are named");

        let refused = program("run").end().await;
        assert_eq!(refused.code, Some(3), "{refused:#?}");
        assert_no_secret("the refusal", &format!("{refused:?}"));
    }
}
