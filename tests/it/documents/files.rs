//! Files that documents made.

use alloy::primitives::keccak256;
use meikan::document::{Cid, Kind};
use serde_json::json;

use super::support::{Desk, by_hand, person, registered};
use crate::graphql::support::{CHAIN, Node};

#[tokio::test]
async fn a_file_is_served_by_its_name_and_never_changes() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let client = person(2);
    history.block(registered(7, person(1).address)).await;
    let mut says = world.gives(client.address, 7, 87);
    says["feedback"]["text"] = json!("<script>alert(1)</script>");
    let made = desk.hand_in_for(&world.signs(&client, Kind::Feedback, &says), "cid fileHash").await.unwrap();
    let cid = made["cid"].as_str().unwrap();

    let get = |path: String| desk.get(&path);
    let response = get(format!("/files/{cid}")).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(response.status(), 200);
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("etag"), format!("\"{cid}\""));
    assert_eq!(header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox");
    let content = response.bytes().await.unwrap();
    assert_eq!(Cid::of(&content).to_string(), cid);
    assert_eq!(json!(keccak256(&content)), made["fileHash"]);
    let mut file = says["feedback"].clone();
    file.as_object_mut().unwrap().retain(|_, value| *value != json!(""));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&content).unwrap(), file);

    for held in [format!("\"{cid}\""), format!("\"other\", W/\"{cid}\""), "*".to_owned()] {
        let response = get(format!("/files/{cid}")).header("if-none-match", held).send().await.unwrap();
        assert_eq!(response.status(), 304);
        assert!(response.bytes().await.unwrap().is_empty());
    }
    for other in [Cid::of(b"other").to_string(), "..%2f..%2fetc%2fpasswd".into(), "Qm".into(), cid.to_uppercase()] {
        assert_eq!(get(format!("/files/{other}")).send().await.unwrap().status(), 404, "{other}");
    }
}
