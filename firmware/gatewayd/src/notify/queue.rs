//! What waits for a receiver: bounded, the oldest goes first, and when too much waits the oldest is dropped and counted.

use domain::alarm::Notice;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Notices that wait for one receiver.
pub const WAITING: usize = 256;

/// A queue, from the one who tells to the one who delivers. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Queue(Arc<Inner>);

#[derive(Default)]
struct Inner {
    held: Mutex<Held>,
    bell: Notify,
}

#[derive(Default)]
struct Held {
    notices: VecDeque<Arc<Notice>>,
    dropped: u64,
}

impl Queue {
    pub(super) fn push(&self, notice: Arc<Notice>) {
        let mut held = self.held();
        if held.notices.len() >= WAITING {
            held.notices.pop_front();
            held.dropped += 1;
        }
        held.notices.push_back(notice);
        drop(held);
        self.0.bell.notify_one();
    }

    /// The oldest, as soon as there is one. It stays until it is [`taken`](Self::taken).
    pub(super) async fn oldest(&self) -> Arc<Notice> {
        loop {
            let oldest = self.held().notices.front().cloned();
            match oldest {
                Some(notice) => return notice,
                None => self.0.bell.notified().await,
            }
        }
    }

    /// `notice` need not be delivered any more. It may have been dropped meanwhile.
    pub(super) fn taken(&self, notice: &Notice) {
        let mut held = self.held();
        if held.notices.front().is_some_and(|oldest| oldest.seq == notice.seq) {
            held.notices.pop_front();
        }
    }

    /// One was refused for good.
    pub(super) fn refused(&self, notice: &Notice) {
        self.taken(notice);
        self.held().dropped += 1;
    }

    /// How many wait, and how many were never delivered.
    pub(super) fn figures(&self) -> (usize, u64) {
        let held = self.held();
        (held.notices.len(), held.dropped)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::notice;

    #[test]
    fn when_too_much_waits_the_oldest_is_dropped_and_counted() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let queue = Queue::default();
            let last = WAITING as u64 + 3;
            (1..=last).for_each(|seq| queue.push(Arc::new(notice(seq))));
            assert_eq!(queue.figures(), (WAITING, 3));
            let oldest = queue.oldest().await;
            assert_eq!(oldest.seq, 4);
            queue.push(Arc::new(notice(last + 1)));
            queue.taken(&oldest);
            assert_eq!(queue.figures(), (WAITING, 4), "it had been dropped while it was delivered");
            for seq in 5..=last + 1 {
                let oldest = queue.oldest().await;
                assert_eq!(oldest.seq, seq);
                queue.taken(&oldest);
            }
            assert_eq!(queue.figures(), (0, 4));
        });
    }
}
