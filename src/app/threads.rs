//! Where followers run: on threads of their own beside a server. To read an answer of two megabytes, or to fold what ten
//! thousand logs say, keeps a thread busy for a hundred milliseconds, and whoever asks the server is not to wait for that.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

use super::processors::Crew;

/// The threads that followers run on.
pub(super) struct Threads {
    pub(super) handle: Handle,
    /// Those that are their own.
    pub(super) crew: Crew,
    own: Option<Runtime>,
}

impl Threads {
    /// Others than those of the caller, as many as there are cores.
    ///
    /// # Errors
    /// Where the system gives no more threads.
    pub(super) fn of_their_own() -> io::Result<Self> {
        let crew = Crew::default();
        let (joined, left) = (crew.clone(), crew.clone());
        let own = Builder::new_multi_thread()
            .thread_name("ingestion")
            .on_thread_start(move || joined.join())
            .on_thread_stop(move || left.leave())
            .enable_all()
            .build()?;
        Ok(Self { handle: own.handle().clone(), crew, own: Some(own) })
    }

    /// Those of the caller, which must be a task.
    pub(super) fn shared() -> Self {
        Self { handle: Handle::current(), crew: Crew::default(), own: None }
    }
}

impl Drop for Threads {
    /// Nothing that still runs is waited for: who is done with the followers has waited for them.
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            own.shutdown_background();
        }
    }
}
