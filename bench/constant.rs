//! A server that gives the same answer to whatever is asked: what HTTP alone takes, with the node's own library and as
//! many threads. No server that works an answer out is quicker.

use std::io::Read;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::process::Child;

use crate::ingest::start_self;
use crate::traffic::GRAPHQL;

/// Starts it in a process of its own, with its answer; its address.
pub(crate) async fn start(answer: &[u8]) -> (Child, String) {
    start_self(&["constant".to_owned()], answer).await
}

/// Reads the answer from the standard input and serves it on a free port; it prints the address, and goes on until it
/// is ended.
pub(crate) async fn serve() {
    let mut answer = Vec::new();
    std::io::stdin().read_to_end(&mut answer).expect("the answer can be read");
    let answer = Bytes::from(answer);
    // The request is taken in whole, as the node does.
    let constant = async move |_asked: Bytes| ([(CONTENT_TYPE, "application/json")], answer.clone());
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound"));
    // As the node that it is held against.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket takes options"));
    axum::serve(listener, Router::new().route(GRAPHQL, post(constant))).await.expect("it serves");
}
