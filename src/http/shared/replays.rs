//! The queue of past rollouts that are judged again.

use tokio::sync::OwnedSemaphorePermit;

use super::AnalysisQueue;
use crate::http::problem::Problem;

/// Who asks for a replay.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker {
    /// A program, through `/admin`.
    Admin,
    /// A page, which needs no token unless `/metrics` needs one.
    Page,
}

/// Replays of `/admin` that may wait. Further ones are refused at once.
const OF_ADMIN: usize = 32;

/// Replays of pages that may wait.
const OF_PAGES: usize = 4;

/// Replays, one at a time: one takes seconds of a core. Those of pages come here one by one, so that one of `/admin` waits
/// for at most one of them.
pub struct ReplayQueue {
    all: AnalysisQueue,
    of_pages: AnalysisQueue,
}

/// The turn of a replay.
pub(crate) struct ReplayTurn {
    _of_all: OwnedSemaphorePermit,
    _of_pages: Option<OwnedSemaphorePermit>,
}

impl Default for ReplayQueue {
    fn default() -> ReplayQueue {
        ReplayQueue {
            all: AnalysisQueue::new(1, OF_ADMIN, "replays"),
            of_pages: AnalysisQueue::new(1, OF_PAGES, "replays of pages"),
        }
    }
}

impl ReplayQueue {
    /// Waits for the turn of a replay.
    pub(crate) async fn turn(&self, asker: Asker) -> Result<ReplayTurn, Problem> {
        let of_pages = match asker {
            Asker::Admin => None,
            Asker::Page => Some(self.of_pages.permit().await?),
        };
        Ok(ReplayTurn { _of_all: self.all.permit().await?, _of_pages: of_pages })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;
    use std::task::Poll;
    use std::task::Waker;

    use super::*;

    #[test]
    fn pages_that_wait_leave_the_next_turn_to_admin() {
        let queue = ReplayQueue::default();
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(running)) = pin!(queue.turn(Asker::Page)).poll(&mut context) else {
            panic!("the first waits")
        };
        let mut pages: Vec<_> = (0..OF_PAGES).map(|_| Box::pin(queue.turn(Asker::Page))).collect();
        assert!(pages.iter_mut().all(|page| page.as_mut().poll(&mut context).is_pending()));
        let one_more = pin!(queue.turn(Asker::Page)).poll(&mut context);
        assert!(matches!(one_more, Poll::Ready(Err(_))), "the queue of pages is full");
        let mut admin = pin!(queue.turn(Asker::Admin));
        assert!(admin.as_mut().poll(&mut context).is_pending());
        drop(running);
        assert!(pages.iter_mut().all(|page| page.as_mut().poll(&mut context).is_pending()));
        let Poll::Ready(Ok(turn)) = admin.as_mut().poll(&mut context) else {
            panic!("a page was first")
        };
        drop(turn);
        assert!(pages[0].as_mut().poll(&mut context).is_ready());
    }
}
