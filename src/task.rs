//! How work is run: beside other work, where it is much, and without a change of threads, where it is little.
//!
//! What panics beside other work panics where its end is waited for.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
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

/// How often a future that wakes itself is polled before others have their turn.
const POLLS_AT_ONCE: usize = 4;

/// Runs a future that may wake itself while it is polled, and polls it again at once where it does.
///
/// A set of futures (`FuturesUnordered`) does that whenever all of them wait, to leave others their turn. For the scheduler a
/// task that yields is work for another thread: it wakes one, for no more than to be told that all still wait.
pub async fn without_yielding<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let inner = Arc::new(Inner::default());
    let waker = Waker::from(Arc::clone(&inner));
    poll_fn(|outer| {
        inner.outer.register(outer.waker());
        for _ in 0..POLLS_AT_ONCE {
            inner.state.swap(POLLED, Ordering::AcqRel);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(output);
            }
            if inner.state.compare_exchange(POLLED, WAITS, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Poll::Pending;
            }
        }
        inner.state.store(WAITS, Ordering::Release);
        outer.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// What a future is woken by that is run without yielding.
#[derive(Default)]
struct Inner {
    /// Wakes the task that it is part of.
    outer: AtomicWaker,
    state: AtomicU8,
}

/// Whoever wakes it wakes its task.
const WAITS: u8 = 0;
/// Whoever wakes it makes that it is polled once more.
const POLLED: u8 = 1;
/// It will be polled.
const WOKEN: u8 = 2;

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == WAITS {
            self.outer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use futures_util::StreamExt;
    use futures_util::stream::FuturesUnordered;
    use tokio::sync::oneshot;

    use super::{Beside, POLLS_AT_ONCE, without_yielding};

    /// How often a task was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

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

    #[test]
    fn a_set_of_futures_that_wait_wakes_nobody_until_one_is_done() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = &mut Context::from_waker(&waker);
        let (told, telling) = oneshot::channel::<u8>();
        let mut set = FuturesUnordered::from_iter([telling]);
        let mut next = pin!(without_yielding(set.next()));
        assert!(next.as_mut().poll(context).is_pending());
        assert_eq!(woken.times(), 0);
        told.send(7).unwrap();
        assert_eq!(woken.times(), 1);
        assert_eq!(next.poll(context), Poll::Ready(Some(Ok(7))));
    }

    #[test]
    fn the_set_alone_would_wake_its_task() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut set = FuturesUnordered::from_iter([pending::<()>()]);
        assert!(set.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(woken.times(), 1, "then nothing need be done about it any more");
    }

    #[test]
    fn who_wakes_itself_again_and_again_leaves_others_their_turn() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut polls = 0;
        let restless = poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(pin!(without_yielding(restless)).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!((polls, woken.times()), (POLLS_AT_ONCE, 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_is_woken_from_another_thread_while_it_is_polled_misses_nothing() {
        for _ in 0..2_000 {
            let (told, telling) = oneshot::channel();
            let telling = tokio::spawn(without_yielding(telling));
            told.send(()).unwrap();
            telling.await.unwrap().unwrap();
        }
    }
}
