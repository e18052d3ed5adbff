//! The command line: what each command and flag means, and how they are laid over the configuration file.
//!
//! A subcommand is a few lines here; the work is in [`app`]. Every flag has an environment variable's name.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use alloy::primitives::Address;
use clap::{Args, Parser, Subcommand};

use crate::app::{self, AppError, AuditOptions, Exit, KeyOrder, LogFormat, Parts};
use crate::config::{Config, ConfigError, redact_within};
use crate::follow::{Reindex, Until};
use crate::key::Tier;
use crate::store::Source;

/// What is followed when no configuration is named.
const DEFAULT_CONFIG: &str = include_str!("../config/taiko.toml");

/// An indexer and query node for trustless agents (ERC-8004): follows the registries' events into Postgres and serves
/// them over GraphQL.
#[derive(Debug, Parser)]
#[command(name = "meikan", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
struct Common {
    /// The configuration file (TOML); without one, Taiko mainnet is followed
    #[arg(long, global = true, env = "MEIKAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The Postgres to use; without one, an embedded Postgres is started in the data directory
    #[arg(long, global = true, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A file that holds the URL of --database-url (a secret)
    #[arg(long, global = true, env = "DATABASE_URL_FILE", value_name = "FILE")]
    database_url_file: Option<PathBuf>,
    /// A Postgres to read from, such as a replica; without one, the same as --database-url
    #[arg(long, global = true, env = "DATABASE_READ_URL", value_name = "URL", hide_env_values = true)]
    database_read_url: Option<String>,
    /// A file that holds the URL of --database-read-url (a secret)
    #[arg(long, global = true, env = "DATABASE_READ_URL_FILE", value_name = "FILE")]
    database_read_url_file: Option<PathBuf>,
    /// Where the embedded Postgres keeps its data [default: ./meikan-data]
    #[arg(long, global = true, env = "MEIKAN_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// An endpoint of the chain (http, https, ws, wss); may be repeated; replaces those of the first network
    #[arg(
        long,
        global = true,
        env = "MEIKAN_RPC_URL",
        value_name = "URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    rpc_url: Vec<String>,
    /// A file that holds the URLs of --rpc-url, one a line (a secret)
    #[arg(long, global = true, env = "MEIKAN_RPC_URL_FILE", value_name = "FILE")]
    rpc_url_file: Option<PathBuf>,
    /// Address and port to serve at; port 0 takes a free one [default: 127.0.0.1:8004]
    #[arg(long, global = true, env = "MEIKAN_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// How log lines look; RUST_LOG chooses which (such as meikan=debug)
    #[arg(long, global = true, env = "MEIKAN_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Follow the configured networks and serve the API, in one process
    Run(UntilArgs),
    /// Only follow: write what the chain says into the database
    Follow(UntilArgs),
    /// Only serve the API, from a database that another process writes
    Serve,
    /// Undo a network's blocks from a chosen one on, and ingest them again
    ///
    /// From the chain (--source rpc): the first stretch of blocks is fetched and verified before anything is undone, then
    /// swapped in whole; the rest follows in steps. From the raw logs that are stored (--source store): no endpoint is
    /// asked, all that derives from the logs is derived again, for example by a newer version that reads more events.
    /// Readers see the old state until the new one is committed, one swap where it is not too large. Ended half way, by
    /// whatever, it is gone on with by the next run, follow or reindex.
    ///
    /// It takes the place of the writer: stop run or follow first. --dry-run counts what would be undone, beside a
    /// running node.
    Reindex(ReindexArgs),
    /// Bring the database's schema up to date (run and follow do it themselves)
    Migrate,
    /// Compare what is stored with the chain; exits with 1 on a difference and says which
    Audit(AuditArgs),
    /// Look at configuration, database and each endpoint: what works, what does not, what to do
    Check,
    /// Print the GraphQL schema (SDL)
    Schema,
    /// Make, list and revoke API keys
    ///
    /// Who shows a key (Authorization: Bearer mk_...) is held to the limits of its tier in the place of those of its IP
    /// address. The keys are in the node's database; a running node hears of a change within limits.key_cache_seconds.
    /// An embedded Postgres belongs to one process: stop the node first, or name the URL that its log tells with
    /// --database-url.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Try it: a local chain with the contracts, live traffic, Postgres and the node, all on this machine
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
struct UntilArgs {
    /// Exit with 0 once this block is committed: a number, or `head` for the chain's head at the start
    #[arg(long, env = "MEIKAN_UNTIL", value_name = "BLOCK", value_parser = parse_until)]
    until: Option<Until>,
}

#[derive(Debug, Args)]
struct AuditArgs {
    /// Only this network of the configuration; without it, all of them
    #[arg(long, env = "MEIKAN_AUDIT_NETWORK", value_name = "NAME")]
    network: Option<String>,
    /// The first block to look at; without it, the network's start block
    #[arg(long, env = "MEIKAN_AUDIT_FROM", value_name = "BLOCK")]
    from: Option<u64>,
    /// The last block to look at; without it, the newest one that is indexed
    #[arg(long, env = "MEIKAN_AUDIT_TO", value_name = "BLOCK")]
    to: Option<u64>,
}

#[derive(Debug, Args)]
struct ReindexArgs {
    /// The first block to undo and ingest again: from the start block to the one above the newest that is indexed
    #[arg(
        long,
        env = "MEIKAN_REINDEX_FROM_BLOCK",
        value_name = "BLOCK",
        required_unless_present = "accept_deep_reorg"
    )]
    from_block: Option<u64>,
    /// The network's name, where several are configured
    #[arg(long, env = "MEIKAN_REINDEX_NETWORK", value_name = "NAME")]
    network: Option<String>,
    /// Where the blocks come from: the chain's endpoints, or the raw logs that the database holds
    #[arg(long, env = "MEIKAN_REINDEX_SOURCE", value_enum, default_value = "rpc")]
    source: SourceArg,
    /// Change nothing, only tell what would be undone
    #[arg(long, env = "MEIKAN_REINDEX_DRY_RUN")]
    dry_run: bool,
    /// Accept that the chain replaced blocks that were final: go back to the newest block that it still has
    #[arg(long, env = "MEIKAN_REINDEX_ACCEPT_DEEP_REORG")]
    accept_deep_reorg: bool,
}

/// [`Source`] on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SourceArg {
    /// The chain: headers and logs are fetched again
    Rpc,
    /// The raw logs that the database holds; no endpoint is asked
    Store,
}

impl ReindexArgs {
    fn asked(&self) -> Reindex {
        Reindex {
            from: self.from_block,
            source: match self.source {
                SourceArg::Rpc => Source::Rpc,
                SourceArg::Store => Source::Store,
            },
            dry_run: self.dry_run,
            accept_deep_reorg: self.accept_deep_reorg,
        }
    }
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key and print it, once: only a hash of it is stored
    Create {
        /// Whose limits apply to it: limits.tier.free, .pro or .enterprise of the configuration
        #[arg(long, env = "MEIKAN_KEY_TIER", value_enum)]
        tier: TierArg,
        /// The address of who answers for what is done with it
        #[arg(long, env = "MEIKAN_KEY_OWNER", value_name = "ADDRESS")]
        owner: Address,
    },
    /// List every key that was made: id, tier, owner, when it was made and revoked
    List,
    /// Revoke a key for good
    Revoke {
        /// The key's id, as `meikan key list` tells it: the 12 digits behind mk_
        #[arg(env = "MEIKAN_KEY_ID", value_name = "ID")]
        id: String,
    },
}

/// [`Tier`] on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum TierArg {
    /// Whoever asks for a key
    Free,
    /// Who pays
    Pro,
    /// Who has a contract
    Enterprise,
}

impl KeyCommand {
    fn asked(self) -> KeyOrder {
        match self {
            Self::Create { tier, owner } => {
                let tier = match tier {
                    TierArg::Free => Tier::Free,
                    TierArg::Pro => Tier::Pro,
                    TierArg::Enterprise => Tier::Enterprise,
                };
                KeyOrder::Create { tier, owner }
            }
            Self::List => KeyOrder::List,
            Self::Revoke { id } => KeyOrder::Revoke { id },
        }
    }
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// End after this many seconds; without it, the demo runs until it is interrupted
    #[arg(long = "for", env = "MEIKAN_DEMO_FOR", value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Let the chain reorganise now and then
    #[arg(long, env = "MEIKAN_DEMO_REORGS")]
    reorgs: bool,
    /// Seed of the traffic: the same seed plays the same story
    #[arg(long, env = "MEIKAN_DEMO_SEED", default_value_t = 8004)]
    seed: u64,
}

fn parse_until(text: &str) -> Result<Until, String> {
    if text == "head" {
        return Ok(Until::Head);
    }
    text.parse().map(Until::Block).map_err(|_| format!("{text:?} is neither a block number nor `head`"))
}

/// Runs the program: everything between the arguments and the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return refuse(&usage(&error), USAGE),
        Err(answer) => return print(&answer.render().to_string()),
    };
    app::start_logging(cli.common.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("cannot start its threads: {error}; look at the limits (ulimit -u)"), 1),
    };
    match runtime.block_on(run(cli)) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => refuse(&error.to_string(), error.exit_code()),
    }
}

/// The exit code of a command line that cannot be read.
const USAGE: u8 = 2;

/// Says why not, in one line.
fn refuse(reason: &str, code: u8) -> ExitCode {
    let line = format!("meikan: {}\n", reason.replace('\n', " "));
    // Where nobody reads standard error, the exit code has to do.
    let _ = io::stderr().write_all(line.as_bytes());
    ExitCode::from(code)
}

/// Prints an answer. A reader that has seen enough (`| head`) closes the pipe, which is no failure.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => refuse(&format!("cannot print: {error}"), 1),
        _ => ExitCode::SUCCESS,
    }
}

/// What is wrong with a command line, in one sentence; clap draws it over several paragraphs, with the usage at the end.
fn usage(error: &clap::Error) -> String {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command is given; `meikan --help` lists them".into();
    }
    let text = error.render().to_string();
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    let said = paragraphs
        .filter(|paragraph| !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information"))
        .map(|paragraph| paragraph.trim_start_matches("error: ").trim_start_matches("tip: ").to_owned());
    let said: Vec<_> = said.filter(|paragraph| !paragraph.is_empty()).collect();
    format!(
        "{}; `meikan --help` lists the commands, `meikan COMMAND --help` their flags",
        redact_within(&said.join("; "))
    )
}

async fn run(cli: Cli) -> Result<Exit, AppError> {
    match cli.command {
        Command::Schema => {
            print(&crate::api::sdl());
            Ok(Exit::Done)
        }
        Command::Demo(demo) => {
            let mut config = Config::default();
            cli.common.lay_over(&mut config);
            app::demo(config, &app::DemoOptions { seconds: demo.seconds, reorgs: demo.reorgs, seed: demo.seed }).await
        }
        Command::Run(args) => app::run(cli.common.read()?, Parts::Both, args.until.unwrap_or(Until::Forever)).await,
        Command::Follow(args) => {
            app::run(cli.common.read()?, Parts::Follow, args.until.unwrap_or(Until::Forever)).await
        }
        Command::Serve => app::run(cli.common.read()?, Parts::Serve, Until::Forever).await,
        Command::Reindex(args) => app::reindex(cli.common.read()?, args.network.as_deref(), args.asked()).await,
        Command::Migrate => app::migrate(cli.common.read()?).await,
        Command::Audit(args) => {
            let options = AuditOptions { network: args.network, from: args.from, to: args.to };
            app::audit(cli.common.read()?, &options).await
        }
        Command::Check => app::check(cli.common.read()?).await,
        Command::Key(command) => app::key(cli.common.read()?, command.asked()).await,
    }
}

impl Common {
    /// The configuration file with the flags laid over it, its secrets read, checked as a whole.
    fn read(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::parse(DEFAULT_CONFIG)?,
        };
        self.lay_over(&mut config);
        config.read_secrets()?;
        config.check()?;
        Ok(config)
    }

    /// Replaces what flags name. An empty URL is as good as none, because a variable may be set to nothing. A URL and a
    /// file that holds one replace each other.
    fn lay_over(&self, config: &mut Config) {
        let database = &mut config.database;
        let given = |url: &Option<String>| url.clone().filter(|url| !url.is_empty());
        let (url, read_url) = (given(&self.database_url), given(&self.database_read_url));
        replace(&mut database.url, &mut database.url_file, url, self.database_url_file.as_ref());
        replace(&mut database.read_url, &mut database.read_url_file, read_url, self.database_read_url_file.as_ref());
        if let Some(dir) = &self.data_dir {
            config.data_dir = Some(dir.clone());
        }
        if let Some(listen) = self.listen {
            config.api.listen = listen;
        }
        let Some(network) = config.networks.first_mut() else { return };
        let urls: Vec<String> = self.rpc_url.iter().filter(|url| !url.is_empty()).cloned().collect();
        let urls = (!urls.is_empty()).then_some(urls);
        if urls.is_some() || self.rpc_url_file.is_some() {
            // What is named takes the place of all endpoints of the network.
            (network.fallback_rpc_urls, network.fallback_rpc_urls_file) = (Vec::new(), None);
        }
        replace(&mut network.rpc_urls, &mut network.rpc_urls_file, urls, self.rpc_url_file.as_ref());
    }
}

/// Lays a secret's flags over what the configuration says of it: a value, or the file that holds it.
fn replace<T: Default>(value: &mut T, file: &mut Option<PathBuf>, given: Option<T>, given_file: Option<&PathBuf>) {
    if let Some(given_file) = given_file {
        (*value, *file) = (T::default(), Some(given_file.clone()));
    }
    if let Some(given) = given {
        (*value, *file) = (given, None);
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, DEFAULT_CONFIG, Until, parse_until, usage};
    use crate::config::Config;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_an_environment_variable_and_a_help_text() {
        let root = Cli::command();
        let nested = root.get_subcommands().flat_map(clap::Command::get_subcommands);
        for command in std::iter::once(&root).chain(root.get_subcommands()).chain(nested) {
            for argument in command.get_arguments().filter(|a| !["help", "version"].contains(&a.get_id().as_str())) {
                assert!(argument.get_env().is_some(), "{argument}");
                assert!(argument.get_help().is_some(), "{argument}");
            }
        }
    }

    #[test]
    fn until_is_a_block_or_the_head() {
        assert_eq!(parse_until("head"), Ok(Until::Head));
        assert_eq!(parse_until("17"), Ok(Until::Block(17)));
        assert!(parse_until("tip").is_err());
    }

    #[test]
    fn a_mistyped_command_line_is_told_in_one_sentence() {
        for (arguments, said) in [
            (&["meikan"][..], "no command is given"),
            (&["meikan", "runn"], "a similar subcommand exists: 'run'"),
            (&["meikan", "run", "--untill", "head"], "unexpected argument '--untill' found"),
            (&["meikan", "run", "--until", "tip"], "neither a block number nor `head`"),
            (&["meikan", "run", "postgres://user:secret@db/name"], "'postgres://db/name'"),
        ] {
            let error = Cli::try_parse_from(arguments).expect_err("it is mistyped");
            let sentence = usage(&error);
            assert!(sentence.contains(said) && sentence.contains("--help"), "{arguments:?}: {sentence}");
            assert!(!sentence.contains('\n') && !sentence.contains("secret"), "{arguments:?}: {sentence}");
        }
    }

    #[test]
    fn a_flag_replaces_the_value_and_the_file_that_holds_it() {
        let flags = |arguments: &[&str]| {
            let arguments = ["meikan"].iter().chain(arguments).chain(&["serve"]);
            Cli::try_parse_from(arguments).expect("the flags are valid").common
        };
        let mut config = Config::parse(DEFAULT_CONFIG).expect("it parses");
        flags(&["--database-url", "postgres://db/name", "--rpc-url-file", "keys"]).lay_over(&mut config);
        assert_eq!((config.database.url.as_str(), &config.database.url_file), ("postgres://db/name", &None));
        assert!(config.networks[0].rpc_urls.is_empty() && config.networks[0].rpc_urls_file.is_some());
        flags(&["--database-url-file", "url", "--rpc-url", "http://a,http://b"]).lay_over(&mut config);
        assert!(config.database.url.is_empty() && config.database.url_file.is_some());
        assert_eq!((config.networks[0].rpc_urls.len(), &config.networks[0].rpc_urls_file), (2, &None));
        flags(&["--rpc-url", "", "--database-url", ""]).lay_over(&mut config);
        assert_eq!(config.networks[0].rpc_urls.len(), 2, "an empty variable is none");
        assert!(config.database.url_file.is_some(), "an empty variable is none");
    }

    #[test]
    fn the_default_configuration_is_valid() {
        Config::parse(DEFAULT_CONFIG).expect("it parses").check().expect("it is consistent");
    }
}
