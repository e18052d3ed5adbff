//! What is asked: the questions that a front-end, an analyst and a client of the standard ask most.

use serde_json::{Value, json};

use crate::traffic::{AGENTS_PER_OWNER, CHAIN_ID, HOT_AGENT, Size, busy_wallet_agent, early_agent, mixed, owner};

/// A question of which every request draws its own variables.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    /// What it asks, with `AT` where a root's `block` argument may stand.
    text: &'static str,
    /// The variables of the n-th request.
    pub(crate) variables: fn(Size, u64) -> Value,
    /// Rows that an answer must have in its list, at least; 0 where it is none.
    pub(crate) least_rows: usize,
    /// The longest 99th percentile to reach, in milliseconds, of the newest block and of an earlier one.
    pub(crate) goal_ms: (f64, f64),
    /// At least this share of what pgbench reaches with the same statements.
    pub(crate) goal_of_pgbench: Option<f64>,
    /// How pgbench draws the agent, as `variables` does; empty where it has no part.
    pub(crate) drawn: fn(Size) -> String,
}

fn ordinary_drawn(size: Size) -> String {
    let busy = size.busy_agents();
    format!("random(0, {}) * 2 + {busy}", size.early_agents() - 1)
}

fn busy_drawn(size: Size) -> String {
    format!("random(0, {})", size.busy_agents() - 1)
}

fn not_drawn(_: Size) -> String {
    String::new()
}

fn id(agent: u64) -> Value {
    json!({ "agent": format!("{CHAIN_ID}:{agent}") })
}

fn ordinary(size: Size, number: u64) -> Value {
    id(early_agent(size, mixed(number)))
}

fn busy(size: Size, number: u64) -> Value {
    id(mixed(number) % size.busy_agents())
}

fn hot(_: Size, _: u64) -> Value {
    id(HOT_AGENT)
}

fn an_owner(size: Size, number: u64) -> Value {
    // Of an agent that is there half way.
    json!({ "owner": owner(mixed(number) % (size.agents / 2 / AGENTS_PER_OWNER) * AGENTS_PER_OWNER) })
}

fn wallet_agent(_: Size, _: u64) -> Value {
    json!({ "wallet": busy_wallet_agent() })
}

fn nothing(_: Size, _: u64) -> Value {
    json!({})
}

/// Milliseconds that an answer may take.
const AT_ONCE: f64 = 20.0;
const OF_THE_PAST: f64 = 200.0;
const RANKED_IN_THE_PAST: f64 = 2_000.0;

/// Everything that is asked.
pub(crate) const QUESTIONS: &[Question] = &[
    Question {
        name: "agent with 10 feedback",
        text: "query($agent: ID!) { agent(id: $agent AT) { id owner agentURI agentWallet createdAt updatedAt totalFeedback \
               feedback(first: 10) { id clientAddress value tag1 tag2 isRevoked createdAt } } }",
        variables: ordinary,
        least_rows: 0,
        goal_ms: (AT_ONCE, AT_ONCE),
        goal_of_pgbench: Some(0.5),
        drawn: ordinary_drawn,
    },
    Question {
        name: "100 feedback of an agent",
        text: "query($agent: String!) { feedbacks(first: 100, where: { agent: $agent } AT) { \
               id clientAddress value tag1 tag2 isRevoked createdAt } }",
        variables: busy,
        least_rows: 50,
        goal_ms: (AT_ONCE, AT_ONCE),
        goal_of_pgbench: Some(0.5),
        drawn: busy_drawn,
    },
    Question {
        name: "summary, ordinary agent",
        text: "query($agent: ID!) { reputationSummary(agent: $agent AT) { \
               count summaryValue summaryValueDecimals average perClientAverage clientCount min max } }",
        variables: ordinary,
        least_rows: 0,
        goal_ms: (AT_ONCE, AT_ONCE),
        goal_of_pgbench: None,
        drawn: ordinary_drawn,
    },
    Question {
        name: "summary, hot agent",
        text: "query($agent: ID!) { reputationSummary(agent: $agent AT) { \
               count summaryValue summaryValueDecimals average perClientAverage clientCount min max } }",
        variables: hot,
        least_rows: 0,
        goal_ms: (AT_ONCE, OF_THE_PAST),
        goal_of_pgbench: None,
        drawn: not_drawn,
    },
    Question {
        name: "reputation, hot agent",
        text: "query($agent: ID!) { agentReputation(id: $agent AT) { given active responses clientCount ratings average \
               perClientAverage confidenceScore min max lastRating positive negative trustLevel trustReason } }",
        variables: hot,
        least_rows: 0,
        goal_ms: (AT_ONCE, OF_THE_PAST),
        goal_of_pgbench: None,
        drawn: not_drawn,
    },
    Question {
        name: "series by day, hot agent",
        text: "query($agent: ID!) { reputationSeries(agent: $agent, interval: DAY AT) { \
               start given revoked givenAverage givenMin givenMax active average clientCount perClientAverage } }",
        variables: hot,
        least_rows: 1,
        goal_ms: (AT_ONCE, OF_THE_PAST),
        goal_of_pgbench: None,
        drawn: not_drawn,
    },
    Question {
        name: "leaderboard, first 100",
        text: "{ leaderboard(first: 100 AT) { score active clientCount agent { id owner agentURI } } }",
        variables: nothing,
        least_rows: 100,
        goal_ms: (AT_ONCE, RANKED_IN_THE_PAST),
        goal_of_pgbench: None,
        drawn: not_drawn,
    },
    Question {
        name: "agents of an owner",
        text: "query($owner: Bytes!) { agents(first: 100, where: { owner: $owner } AT) { \
               id owner agentURI createdAt totalFeedback } }",
        variables: an_owner,
        least_rows: 1,
        goal_ms: (AT_ONCE, AT_ONCE),
        goal_of_pgbench: None,
        drawn: not_drawn,
    },
    Question {
        name: "audit trail, busy agent",
        text: "query($wallet: Bytes!) { auditEntries(first: 100, orderBy: createdAt, orderDirection: desc, \
               where: { walletAgent: $wallet } AT) { id kind event intentId actor fields createdAt } }",
        variables: wallet_agent,
        least_rows: 100,
        goal_ms: (AT_ONCE, AT_ONCE),
        goal_of_pgbench: None,
        drawn: not_drawn,
    },
    Question {
        name: "findings, busy agent",
        text: "query($wallet: Bytes!) { findings(first: 100, orderBy: createdAt, orderDirection: desc, \
               where: { walletAgent: $wallet } AT) { id rule createdAt intentId } }",
        variables: wallet_agent,
        least_rows: 100,
        goal_ms: (AT_ONCE, AT_ONCE),
        goal_of_pgbench: None,
        drawn: not_drawn,
    },
];

impl Question {
    /// The question as of the newest block, or of that one.
    pub(crate) fn text(&self, at: Option<u64>) -> String {
        let at = at.map(|number| format!(", block: {{ number: {number} }}")).unwrap_or_default();
        self.text.replace(" AT", &at)
    }

    /// The body of the n-th request. To a node that keeps answers one that says something new each time is another question.
    pub(crate) fn body(&self, size: Size, at: Option<u64>, number: u64, is_new: bool) -> String {
        let mut body = json!({ "query": self.text(at), "variables": (self.variables)(size, number) });
        if is_new {
            body["extensions"] = json!({ "number": number });
        }
        body.to_string()
    }

    /// Asserts that an answer is one: without errors, and with as many rows as there are.
    pub(crate) fn assert_answered(&self, answer: &[u8]) {
        let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
        assert!(answer.get("errors").is_none(), "{}: {}", self.name, answer["errors"]);
        let data = answer["data"].as_object().expect("an answer has data");
        let root = data.values().next().expect("one root is asked");
        assert!(!root.is_null(), "{}: {answer}", self.name);
        let rows = root.as_array().map_or(0, Vec::len);
        assert!(rows >= self.least_rows, "{}: {rows} rows", self.name);
    }
}
