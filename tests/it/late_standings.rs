//! Standings and totals that a backfill leaves for its end: they are those that a network has which kept them all the while, whatever
//! happens on the way, and nobody is answered from what is not there yet.

use meikan::block::Block;
use meikan::config::Follow;
use meikan::event::Event;
use meikan::follow::{Outcome, Reindex};
use meikan::store::{MadeUp, Source};

use crate::follow::{CHAIN_ID, IDENTITY, Node as Followed, REPUTATION, network};
use crate::graphql::support::{feedback, registered, responded, revoked};
use crate::one_writer::cut_after;
use crate::support::fake_chain::{FakeChain, RawLog};
use crate::support::node::Node;
use crate::support::postgres::{TestDatabase, connect};
use crate::support::tables::assert_same;

/// Blocks of the chain, and how many of them are final.
const BLOCKS: u64 = 240;
const FINAL_BLOCKS: u64 = 210;

/// Polls after which a step is cut, at most.
const MAX_POLLS: usize = 2_000;

/// A backfill in small steps that leaves standings for its end, and counts so many rows in one transaction.
fn late(piece_rows: u64) -> Follow {
    Follow { max_range_blocks: 20, postpone_indexes_blocks: 30, reindex_step_logs: piece_rows, ..Follow::default() }
}

/// A log of the registry that emits such events.
fn log(event: Event) -> RawLog {
    let registry = if matches!(event, Event::Identity(_)) { IDENTITY } else { REPUTATION };
    (registry, event).into()
}

/// A chain where clients speak of the first agent in each block, and of others now and then: feedback is given, revoked and
/// answered, in the same block and later, and given again under an index that it had.
fn talk() -> FakeChain {
    let chain = FakeChain::new(CHAIN_ID);
    for number in 1..=BLOCKS {
        // Whoever speaks of the first agent in a block, under which index.
        let of = |number: u64| (u8::try_from(number % 7 + 1).unwrap(), number / 7);
        let (client, index) = of(number);
        let value = (i128::from(number * 37 % 101), u8::try_from(number % 3).unwrap());
        let tag = match number % 3 {
            0 => "starred",
            1 => "uptime",
            _ => "",
        };
        let mut events = vec![feedback(1, client, index, value, tag)];
        if number % 6 == 0 {
            events.extend(registered(number / 6, 9, "https://agent.example"));
            events.push(feedback(number / 6, 8, 1, value, "starred"));
        }
        if number % 4 == 0 && number > 14 {
            let (client, index) = of(number - 13);
            events.push(revoked(1, client, index));
        }
        if number % 5 == 0 {
            events.extend([responded(1, client, index, 77), responded(1, client, 999, 77)]);
        }
        if number % 9 == 0 && number > 20 {
            // Once more what was said before, and what was just said.
            let (earlier, its_index) = of(number - 20);
            events.push(feedback(1, earlier, its_index, (50, 0), "starred"));
            events.extend([revoked(1, client, index), feedback(1, client, index, (60, 1), "uptime")]);
        }
        if number % 11 == 0 {
            events.extend([revoked(1, client, index), responded(1 + number / 11, 8, 1, 77)]);
        }
        chain.mine(events.into_iter().map(log).collect::<Vec<_>>());
    }
    chain.finalize(FINAL_BLOCKS);
    chain
}

/// A node whose network had its standings all the while; milestones come soon.
async fn keeper(chain: &FakeChain) -> Followed {
    let mut node = with_milestones(chain, Follow { max_range_blocks: 20, ..Follow::default() }).await;
    node.sync().await;
    node
}

/// A node whose aspects have milestones from the fifth feedback on.
async fn with_milestones(chain: &FakeChain, follow: Follow) -> Followed {
    let node = Followed::with(&[chain.url()], follow).await;
    let few = "UPDATE network SET hot_feedback = 5, milestone_every = 3";
    assert_eq!(connect(node.database.url()).await.execute(few, &[]).await.unwrap(), 1);
    node
}

/// How many standings, versions, rankings and totals there are, and whether a network is said to have them.
async fn standings(database: &TestDatabase) -> ([i64; 4], bool) {
    let select = "SELECT (SELECT count(*) FROM standing), (SELECT count(*) FROM standing_version), \
                  (SELECT count(*) FROM ranking_version), (SELECT count(*) FROM agent_total), has_standings FROM network";
    let row = connect(database.url()).await.query_one(select, &[]).await.unwrap();
    ([row.get(0), row.get(1), row.get(2), row.get(3)], row.get(4))
}

/// A node that has counted some of its standings, and looks at the chain before each further piece.
async fn in_the_middle(chain: &FakeChain) -> Followed {
    let mut node = with_milestones(chain, Follow { poll_interval_ms: 0, ..late(10) }).await;
    let mut pieces = 0;
    while pieces < 3 {
        pieces += usize::from(node.follower.step().await.is_ok_and(|outcome| has_counted(&outcome)));
    }
    node
}

fn counted(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| has_counted(outcome)).count()
}

fn has_counted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::MadeUp(MadeUp { counted: Some(_), .. }))
}

#[tokio::test]
async fn they_are_those_that_are_kept_all_the_while_however_they_are_cut_into_pieces() {
    let chain = talk();
    let kept = keeper(&chain).await.dump().await;
    for table in ["standing", "standing_version", "ranking_version", "agent_total"] {
        assert!(kept[table].len() > 20, "{table}: {}", kept[table].len());
    }
    for piece_rows in [4, 10, 50, 200_000] {
        let mut node = with_milestones(&chain, late(piece_rows)).await;
        assert!(matches!(node.follower.step().await, Ok(Outcome::Advanced { .. })));
        assert_eq!(standings(&node.database).await, ([0; 4], false));
        let outcomes = node.sync().await;
        let pieces = counted(&outcomes);
        assert!(pieces >= 1 && (pieces > 3) == (piece_rows <= 10), "{pieces} pieces of {piece_rows} rows");
        assert!(standings(&node.database).await.1);
        assert_same(&node.dump().await, &kept);
    }
}

#[tokio::test]
async fn f53_who_ends_in_the_middle_of_it_counts_anew() {
    let chain = talk();
    let kept = keeper(&chain).await.dump().await;
    let node = in_the_middle(&chain).await;
    let (rows, has_all) = standings(&node.database).await;
    assert!(rows[0] > 0 && rows[3] > 0 && !has_all, "{rows:?}");
    let mut node = node.restarted().await;
    assert!(counted(&node.sync().await) > 3, "from the beginning");
    assert_same(&node.dump().await, &kept);
}

#[tokio::test]
async fn f53_who_is_cut_or_ends_in_the_middle_of_a_backfill_knows_the_agents_that_there_are() {
    let chain = talk();
    let kept = keeper(&chain).await.dump().await;
    let mut node = with_milestones(&chain, Follow { max_range_blocks: 5, ..late(200_000) }).await;
    for polls in 0.. {
        if node.tip() >= FINAL_BLOCKS / 2 {
            break;
        }
        assert!(polls < 5 * MAX_POLLS, "it gets no further than block {}", node.tip());
        cut_after(polls % 200, node.follower.step()).await;
    }
    let mut node = node.restarted().await;
    node.sync().await;
    assert_same(&node.dump().await, &kept);
}

#[tokio::test]
async fn the_index_that_counting_builds_is_not_built_beside_it() {
    let chain = FakeChain::new(CHAIN_ID);
    chain.mine(registered(1, 9, "https://agent.example").into_iter().chain([feedback(1, 2, 1, (50, 0), "")]).map(log));
    for _ in 1..60 {
        // Responses are the largest table.
        chain.mine((0..20).map(|_| log(responded(1, 2, 1, 77))));
    }
    chain.finalize(60);
    let mut node = Followed::with(&[chain.url()], late(200_000)).await;
    while !matches!(node.follower.step().await.unwrap(), Outcome::AtHead) {}
    assert!(standings(&node.database).await.1);
}

#[tokio::test]
async fn f53_an_index_that_somebody_builds_still_is_waited_for() {
    let chain = talk();
    let mut node = with_milestones(&chain, late(200_000)).await;
    while matches!(node.follower.step().await, Ok(Outcome::Advanced { to, .. }) if to < FINAL_BLOCKS) {}
    // As a step does that is cut: it locks the index's name, and the server goes on.
    let mut client = connect(node.database.url()).await;
    let watching = connect(node.database.url()).await;
    let building = client.transaction().await.unwrap();
    let lock =
        "SELECT pg_advisory_xact_lock(hashtextextended('meikan index ' || name || ' 167000', 0)) FROM reader_index";
    building.execute(lock, &[]).await.unwrap();
    let committed = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        while watching.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        // None that counting builds itself, or of a table that it writes to.
        let build = "SELECT build_reader_index(167000, name) FROM reader_index WHERE name <> 'feedback_response_agent' \
                     AND table_name NOT IN ('agent_total', 'standing', 'standing_version', 'ranking_version')";
        building.execute(build, &[]).await.unwrap();
        building.commit().await.unwrap();
    };
    let (outcome, ()) = tokio::join!(node.follower.step(), committed);
    let Outcome::MadeUp(made_up) = outcome.unwrap() else { panic!("nothing was made up for") };
    assert_eq!(made_up.built.len(), 1, "{made_up:?}");
    node.sync().await;
    assert!(standings(&node.database).await.1);
}

#[tokio::test]
async fn f53_a_step_that_is_cut_at_any_point_counts_nothing_twice() {
    let chain = talk();
    let kept = keeper(&chain).await.dump().await;
    let mut node = with_milestones(&chain, late(4)).await;
    while !node.follower.step().await.is_ok_and(|outcome| has_counted(&outcome)) {}
    let mut ended = 0;
    for polls in 0..MAX_POLLS {
        // On the way it may be said that something of the step before is under way still.
        let outcome = cut_after(polls, node.follower.step()).await;
        ended += usize::from(outcome.is_some_and(|outcome| outcome.is_ok_and(|outcome| has_counted(&outcome))));
        if ended > 1 {
            break;
        }
    }
    assert!(ended > 1, "a step is longer than {MAX_POLLS} polls");
    node.sync().await;
    assert_same(&node.dump().await, &kept);
}

#[tokio::test]
async fn blocks_that_come_in_the_middle_of_it_are_counted_too() {
    let chain = talk();
    let mut node = in_the_middle(&chain).await;
    // So many that it is a backfill again.
    for number in 1..=60 {
        let said = [feedback(1, 3, 1_000 + number, (number.into(), 0), "starred"), feedback(2, 3, number, (7, 0), "")];
        chain.mine(said.map(log).to_vec());
    }
    chain.finalize(BLOCKS + 40);
    while !matches!(node.follower.step().await, Ok(Outcome::Advanced { .. })) {}
    assert_eq!(standings(&node.database).await.0[3], 0, "totals that were counted are not those of the new tip");
    node.sync().await;
    assert_same(&node.dump().await, &keeper(&chain).await.dump().await);
}

#[tokio::test]
async fn a_reindex_in_the_middle_of_a_backfill_leaves_them_for_its_end_too() {
    let chain = talk();
    let kept = keeper(&chain).await.dump().await;
    for (from, source) in [(60, Source::Store), (60, Source::Rpc), (1, Source::Store)] {
        let mut node = with_milestones(&chain, late(10)).await;
        while node.tip() < 100 {
            node.follower.step().await.unwrap();
        }
        let asked = Reindex { from: Some(from), source, dry_run: false, accept_deep_reorg: false };
        let (mut node, report) = node.reindexed(&asked).await;
        report.unwrap();
        node.sync().await;
        assert!(standings(&node.database).await.1);
        assert_same(&node.dump().await, &kept);
    }
}

#[tokio::test]
async fn f53_an_agent_that_a_repair_takes_away_in_the_middle_of_a_backfill_can_begin_again() {
    let chain = FakeChain::new(CHAIN_ID);
    for number in 1..=120 {
        // Nobody registers the other agent, and it is named twice.
        let named = [5, 100].contains(&number).then(|| responded(50, 8, 1, 77));
        chain.mine([feedback(1, 2, number, (1, 0), "")].into_iter().chain(named).map(log).collect::<Vec<_>>());
    }
    chain.finalize(110);
    let kept = keeper(&chain).await.dump().await;
    let mut node = with_milestones(&chain, late(200_000)).await;
    while node.tip() < 40 {
        node.follower.step().await.unwrap();
    }
    let header = node.follower.chain().header(5).await.unwrap().unwrap();
    let block = node.follower.chain().block(&header).await.unwrap();
    node.follower.repair(&[Block { logs: vec![], ..block.clone() }]).await.unwrap();
    let agents = "SELECT count(*) FROM agent WHERE agent_id = 50 AND end_block IS NULL";
    let client = connect(node.database.url()).await;
    assert_eq!(client.query_one(agents, &[]).await.unwrap().get::<_, i64>(0), 0);
    node.sync().await;
    assert_eq!(client.query_one(agents, &[]).await.unwrap().get::<_, i64>(0), 1);
    node.follower.repair(&[block]).await.unwrap();
    assert_same(&node.dump().await, &kept);
}

/// Questions that standings are read for.
const OF_STANDINGS: [&str; 12] = [
    "{ agentReputations { given } }",
    "{ agentReputation(id: \"167000:1\") { given } }",
    "{ agents { id tagReputations(first: 1) { given } } }",
    "{ agents { id reputation { trustLevel } } }",
    "{ agents(where: { reputation_: { given_gt: 0 } }) { id } }",
    "{ agents(orderBy: reputation__given) { id } }",
    "{ tagReputations(block: { number: 9 }) { id } }",
    "{ leaderboard(chainId: 167000) { score } }",
    "{ leaderboard(chainId: 167000, minFinality: FINALIZED) { score } }",
    "{ leaderboard(block: { number: 9 }) { score } }",
    "{ reputationSeries(agent: \"167000:1\", interval: HOUR) { active } }",
    "{ clientReport(client: \"0x0808080808080808080808080808080808080808\") { given } }",
];

#[tokio::test]
async fn what_needs_them_is_refused_with_the_reason_and_all_else_is_answered() {
    let chain = talk();
    let mut node = Node::start(&[network(&[chain.url()], late(50))]).await;
    node.step().await;
    let tip = node.tip();
    assert!(tip < FINAL_BLOCKS);
    for question in OF_STANDINGS {
        let answer = node.answer("", question).await;
        let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("{question} was answered: {answer}"));
        let (code, sentence) = (&errors[0]["extensions"]["code"], errors[0]["message"].as_str().unwrap());
        assert_eq!(code, "UNAVAILABLE", "{question}: {sentence}");
        let reason = format!("standings are counted at the end of its backfill, which is at block {tip}");
        assert!(sentence.contains("of network taiko (chain 167000)") && sentence.contains(&reason), "{sentence}");
    }
    let (status, ready) = node.ready().await;
    assert!(status == 503 && ready["reasons"][0].as_str().unwrap().contains("taiko: standings are counted"), "{ready}");
    // The feedback is there; a summary is counted from it, and totals of agents are.
    let others = format!(
        "{{ agents(first: 1000, block: {{ number: {tip} }}) {{ id totalFeedback updatedAt lastActivity }} \
           busy: agents(first: 3, orderBy: totalFeedback, orderDirection: desc, block: {{ number: {tip} }}) {{ id }} \
           told: agents(where: {{ totalFeedback_gt: 0 }}, block: {{ number: {tip} }}) {{ id }} \
           feedbacks(first: 1000, block: {{ number: {tip} }}) {{ id value }} \
           reputationSummary(agent: \"167000:1\", block: {{ number: {tip} }}) {{ count average clientCount min max }} }}"
    );
    let early = node.ask(&others).await;
    assert!(early["feedbacks"].as_array().unwrap().len() > 10 && early["reputationSummary"]["count"] != "0", "{early}");
    assert!(early["agents"][0]["totalFeedback"].as_str().unwrap().parse::<u64>().unwrap() > 5, "{early}");
    let now = node
        .ask("{ agents(first: 1000) { id totalFeedback updatedAt lastActivity } _meta { block { number } } }")
        .await;
    assert_eq!((&now["agents"], &now["_meta"]["block"]["number"]), (&early["agents"], &tip.into()));
    let analytics = async |node: &Node| -> i64 {
        let select = "SELECT (SELECT count(*) FROM analytics.reputation) + (SELECT count(*) FROM analytics.agents) + \
                      (SELECT count(*) FROM analytics.tag_reputation)";
        connect(node.database.url()).await.query_one(select, &[]).await.unwrap().get(0)
    };
    assert_eq!(analytics(&node).await, 0);
    node.catch_up().await;
    for question in OF_STANDINGS {
        node.ask(question).await;
    }
    assert!(analytics(&node).await > 40);
    assert_eq!(early, node.ask(&others).await);
}
