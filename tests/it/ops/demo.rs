//! The demo as its user sees it.

use std::path::Path;

use rustix::process::Signal;
use tokio::process::Command;

use crate::support::program::{Meikan, meikan};

/// A demo with what `make contracts` built.
fn demo(arguments: &[&str]) -> Meikan {
    let contracts = concat!(env!("CARGO_MANIFEST_DIR"), "/contracts");
    meikan(&["demo", "--listen", "127.0.0.1:0"]).arguments(arguments).env("MEIKAN_CONTRACTS_DIR", contracts)
}

#[tokio::test]
async fn a_demo_plays_answers_and_tells_where_it_is_until_it_is_interrupted() {
    let mut demo = demo(&["--reorgs"]).start();
    let site = demo.site().await;
    // The contracts are some fifteen blocks; ten more, a second each, hold at least one line of progress.
    site.indexed(25).await;
    let agents = site.ask("{ agents(where: {totalFeedback_gt: 0}) { id feedback { value } } }").await;
    assert!(agents.json()["data"]["agents"].as_array().is_some_and(|agents| !agents.is_empty()), "{agents:?}");
    demo.signal(Signal::INT);
    let ended = demo.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    for said in ["Meikan answers at http://127.0.0.1:", "agents, ", "feedbacks, ", "The demo is over; "] {
        assert!(ended.stdout.contains(said), "{said:?} is missing: {}", ended.stdout);
    }
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_demo_for_a_while_ends_by_itself() {
    let ended = demo(&["--for", "1"]).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("The demo is over; "), "{}", ended.stdout);
}

/// The programs that others begin with, in two languages, hand in a document of each kind.
#[tokio::test]
async fn the_examples_hand_in_a_document_of_each_kind_to_a_demo() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut examples = Command::new(root.join("examples/run.sh"));
    let ended = examples.env("MEIKAN", env!("CARGO_BIN_EXE_meikan")).kill_on_drop(true).output().await.unwrap();
    let (told, wrong) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{told}\n{wrong}");
    assert_eq!(told.matches("All is as it should be.").count(), 2, "{told}\n{wrong}");
}
