//! Work that is done beside other work. What panics there panics where its end is waited for.

use tokio::task::{JoinHandle, spawn_blocking};

/// Work whose result is waited for later.
#[derive(Debug)]
pub enum Beside<T> {
    /// It was done at once.
    Done(T),
    /// It is under way on another thread.
    UnderWay(JoinHandle<T>),
}

impl<T: Send + 'static> Beside<T> {
    /// Begins with it: on another thread if it is much, else it is done here and now. To hand it over takes a twentieth of a
    /// millisecond. Whoever drops it lets it go on in vain.
    pub fn begin(is_much: bool, work: impl FnOnce() -> T + Send + 'static) -> Self {
        if is_much { Self::UnderWay(spawn_blocking(work)) } else { Self::Done(work()) }
    }

    /// Waits until it is done.
    pub async fn end(self) -> T {
        match self {
            Self::Done(result) => result,
            Self::UnderWay(mut task) => joined(&mut task).await,
        }
    }
}

/// The result of a task that nobody aborts.
pub async fn joined<T>(task: &mut JoinHandle<T>) -> T {
    match task.await {
        Ok(result) => result,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only the end of the process ends it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::Beside;

    #[tokio::test]
    async fn work_ends_where_it_is_waited_for_wherever_it_is_done() {
        for is_much in [false, true] {
            assert_eq!(Beside::begin(is_much, || 6 * 7).end().await, 42);
        }
    }

    #[tokio::test]
    #[should_panic(expected = "over there")]
    async fn what_panics_there_panics_here() {
        Beside::begin(true, || panic!("over there")).end().await
    }
}
