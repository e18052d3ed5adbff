//! The command line: what each command and flag means, and how they are laid over the configuration file.
//!
//! A subcommand is a few lines here; the work is in [`app`]. Every flag has an environment variable's name.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::{self, AppError, Exit, LogFormat, Parts};
use crate::config::{Config, ConfigError, redact};
use crate::follow::Until;

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
    /// A Postgres to read from, such as a replica; without one, the same as --database-url
    #[arg(long, global = true, env = "DATABASE_READ_URL", value_name = "URL", hide_env_values = true)]
    database_read_url: Option<String>,
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
    /// Bring the database's schema up to date (run and follow do it themselves)
    Migrate,
    /// Look at configuration, database and each endpoint: what works, what does not, what to do
    Check,
    /// Print the GraphQL schema (SDL)
    Schema,
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
    let cli = Cli::parse();
    app::start_logging(cli.common.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("meikan: cannot start its threads: {error}");
            return ExitCode::from(1);
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            eprintln!("meikan: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<Exit, AppError> {
    match cli.command {
        Command::Schema => {
            print!("{}", crate::api::sdl());
            Ok(Exit::Done)
        }
        Command::Demo(demo) => {
            let config = overlaid(Config::default(), &cli.common);
            app::demo(config, &app::DemoOptions { seconds: demo.seconds, reorgs: demo.reorgs, seed: demo.seed }).await
        }
        Command::Run(args) => app::run(cli.common.read()?, Parts::Both, args.until.unwrap_or(Until::Forever)).await,
        Command::Follow(args) => {
            app::run(cli.common.read()?, Parts::Follow, args.until.unwrap_or(Until::Forever)).await
        }
        Command::Serve => app::run(cli.common.read()?, Parts::Serve, Until::Forever).await,
        Command::Migrate => app::migrate(cli.common.read()?).await,
        Command::Check => app::check(cli.common.read()?).await,
    }
}

impl Common {
    /// The configuration file with the flags laid over it, checked as a whole.
    fn read(&self) -> Result<Config, ConfigError> {
        let config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::parse(DEFAULT_CONFIG)?,
        };
        let config = overlaid(config, self);
        config.check()?;
        Ok(config)
    }
}

fn overlaid(mut config: Config, flags: &Common) -> Config {
    if let Some(url) = &flags.database_url {
        config.database.url.clone_from(url);
    }
    if let Some(url) = &flags.database_read_url {
        config.database.read_url.clone_from(url);
    }
    if let Some(dir) = &flags.data_dir {
        config.data_dir = Some(dir.clone());
    }
    if let Some(listen) = flags.listen {
        config.api.listen = listen;
    }
    if let (false, Some(network)) = (flags.rpc_url.is_empty(), config.networks.first_mut()) {
        tracing::debug!(network = network.name, urls = ?flags.rpc_url.iter().map(|url| redact(url)).collect::<Vec<_>>(), "endpoints by flag");
        network.rpc_urls.clone_from(&flags.rpc_url);
    }
    config
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, DEFAULT_CONFIG, Until, parse_until};
    use crate::config::Config;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_an_environment_variable_and_a_help_text() {
        for command in std::iter::once(&Cli::command()).chain(Cli::command().get_subcommands()) {
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
    fn the_default_configuration_is_valid() {
        Config::parse(DEFAULT_CONFIG).expect("it parses").check().expect("it is consistent");
    }
}
