//! The change log: each commit is told, and so is what a rewind takes back.

use super::chain::{Chain, START};
use super::events::{BOB, given};
use super::support::{CHAIN, Fixture, follow, play, wait_for_writer};

#[tokio::test]
async fn each_commit_is_told_and_its_seq_rises() {
    let fixture = Fixture::create().await;
    let (client, mut connection) =
        tokio_postgres::connect(fixture.database.url(), tokio_postgres::NoTls).await.unwrap();
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let tokio_postgres::AsyncMessage::Notification(note) = message {
                sender.send(note.payload().to_owned()).unwrap();
            }
        }
    });
    client.batch_execute(&format!("LISTEN {}", meikan::store::CHANNEL)).await.unwrap();
    let mut chain = Chain::default();
    chain.add(vec![given(1, BOB, 1)]).empty();
    let mut writer = fixture.writer(CHAIN).await;
    let first = follow(&mut writer, &chain, None, START, None).await.unwrap().seq;
    let second = follow(&mut writer, &chain, None, START + 1, Some(START + 1)).await.unwrap().seq;
    assert!(0 < first && first < second);
    assert_eq!(told.recv().await.unwrap(), format!("{CHAIN} {first}"));
    assert_eq!(told.recv().await.unwrap(), format!("{CHAIN} {second}"));
}

#[tokio::test]
async fn a_rewind_retracts_in_reverse_what_was_told_and_only_once() {
    let (fixture, chain) = play(vec![vec![], vec![given(1, BOB, 1)]]).await;
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    // Away, back to the same block, and away again: each time what was told is taken back.
    follow(&mut writer, &chain, Some(START), START, None).await.unwrap();
    follow(&mut writer, &chain, None, START + 1, None).await.unwrap();
    follow(&mut writer, &chain, Some(START), START, None).await.unwrap();
    let told = fixture.texts("SELECT op || ' ' || entity FROM change WHERE block_number = 11 ORDER BY seq").await;
    let once = ["1 1", "1 2", "1 5", "3 5", "3 2", "3 1"];
    assert_eq!(told, [once, once].concat());
    assert!(fixture.changes(CHAIN, START).await.is_empty());
}

#[tokio::test]
async fn what_final_blocks_changed_is_a_gap_in_what_is_told() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    chain.add(vec![given(1, BOB, 1)]).empty().add(vec![given(1, BOB, 2)]);
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, START, None).await.unwrap();
    let told =
        async || fixture.texts("SELECT op || ' ' || block_number FROM change WHERE entity = 1 ORDER BY seq").await;
    assert_eq!(told().await, ["1 10"]);
    // The node was away while the next blocks became final; but one that holds no event changed nothing.
    follow(&mut writer, &chain, None, START + 1, Some(START + 1)).await.unwrap();
    assert_eq!(told().await, ["1 10"]);
    chain.add(vec![given(1, BOB, 3)]);
    follow(&mut writer, &chain, None, START + 3, Some(START + 2)).await.unwrap();
    assert_eq!(told().await, ["1 10", "0 12", "1 13"], "what came between the two is not told");
    // A rewind takes back what was told, and a gap was not.
    let mut chain = chain.fork(START + 2, 1);
    chain.add(vec![given(1, BOB, 4)]);
    follow(&mut writer, &chain, Some(START + 2), START + 3, None).await.unwrap();
    assert_eq!(told().await, ["1 10", "0 12", "1 13", "3 13", "1 13"]);
}

#[tokio::test]
async fn the_newest_change_that_is_forgotten_stays_as_the_mark_of_where_the_log_begins() {
    let (fixture, mut chain) = play(vec![vec![given(1, BOB, 1)], vec![given(1, BOB, 2)]]).await;
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    let newest = fixture.value("SELECT max(seq) FROM change").await;
    for _ in 0..44_000 {
        chain.empty();
    }
    follow(&mut writer, &chain, None, chain.tip(), Some(chain.tip())).await.unwrap();
    assert_eq!(fixture.value("SELECT array_agg(seq) FROM change").await, serde_json::json!([newest]));
}
