//! Runs a short-lived tool (`initdb`, `postgres --version`) to its end, within a limit, and keeps its words.

use std::io::{self, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The most that is kept of a tool's words.
const MAX_OUTPUT_BYTES: u64 = 64 * 1024;
/// How often a running tool is looked at.
const POLL_MS: u64 = 5;

/// How a tool ended, and all it wrote to both of its outputs.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) words: String,
}

impl Finished {
    /// The last lines of what it said.
    pub(super) fn last_lines(&self, count: usize) -> Vec<String> {
        let lines: Vec<&str> = self.words.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].iter().map(ToString::to_string).collect()
    }
}

/// Runs `command` with `input` as its standard input. One that is still running after `limit` is killed, and the
/// result is [`io::ErrorKind::TimedOut`].
pub(super) fn finish(mut command: Command, input: &str, limit: Duration) -> io::Result<Finished> {
    let (mut reader, writer) = io::pipe()?;
    command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds our copies of the writing end; without them the reader ends with the last writer.
    drop(command);
    let words = thread::spawn(move || {
        let mut words = Vec::new();
        let kept = reader.by_ref().take(MAX_OUTPUT_BYTES).read_to_end(&mut words);
        let rest = io::copy(&mut reader, &mut io::sink());
        kept.and(rest).map(|_| words)
    });
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that reads no input closes it early; that is its business.
        let _ = stdin.write_all(input.as_bytes());
    }
    let deadline = Instant::now() + limit;
    // The end of the words too: a grandchild may hold the pipe longer than the tool lives.
    while child.try_wait()?.is_none() || !words.is_finished() {
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no end within {} s", limit.as_secs())));
        }
        thread::sleep(Duration::from_millis(POLL_MS));
    }
    let status = child.wait()?;
    let words = words.join().map_err(|_| io::Error::other("the reader of its output panicked"))??;
    Ok(Finished { status, words: String::from_utf8_lossy(&words).into_owned() })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::process::Command;
    use std::time::Duration;

    use super::finish;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn keeps_the_words_of_both_outputs_and_the_status() {
        let finished =
            finish(shell("cat; echo last >&2; exit 3"), "first\n\n", Duration::from_secs(30)).expect("the shell runs");
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(finished.last_lines(9), ["first", "last"]);
        assert_eq!(finished.last_lines(1), ["last"]);
    }

    #[test]
    fn kills_what_does_not_end() {
        let error = finish(shell("exec sleep 600"), "", Duration::from_millis(20)).expect_err("it outlives the limit");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_flood_of_words_is_cut_and_does_not_block() {
        let finished = finish(shell("yes | head -c 1000000"), "", Duration::from_secs(30)).expect("the shell runs");
        assert_eq!(finished.words.len(), 64 * 1024);
    }
}
