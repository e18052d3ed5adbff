//! Log lines: text or JSON, to standard error, chosen by `RUST_LOG`.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use tracing::warn;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::follow::BARS;

/// What is logged where `RUST_LOG` does not say: our own news, others' warnings.
const DEFAULT_FILTER: &str = "warn,meikan=info";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. A second call changes nothing, so that tests may start it as often as they like.
pub fn start_logging(format: LogFormat) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let (filter, refused) = match EnvFilter::try_new(&wanted) {
        Ok(filter) if !wanted.is_empty() => (filter, None),
        Ok(_) => (EnvFilter::new(DEFAULT_FILTER), None),
        Err(reason) => (EnvFilter::new(DEFAULT_FILTER), Some(reason)),
    };
    let colours = io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(AboveBars);
    // The only failure is that a subscriber is set already.
    let _ = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Some(reason) = refused {
        warn!(%reason, "RUST_LOG is not valid and is not used; write it like `warn,meikan=debug`");
    }
}

/// Standard error, with the progress bars out of the way while a line is written.
struct AboveBars;

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Line;

    fn make_writer(&'a self) -> Self::Writer {
        Line
    }
}

struct Line;

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
