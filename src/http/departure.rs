//! Departure: whether the client of a connection has closed its side while a request is under way.
//!
//! actix goes on with a request whose client has closed its side: the client may still read. Then only work that is cheap
//! is worth its answer. What takes long follows the departure and gives up, as net/http of Go does with every request.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use tokio::sync::Notify;

/// Whether the client of a connection has closed its side, for the connection and the handlers of its requests.
#[derive(Clone, Default)]
pub(super) struct Departure(Rc<State>);

#[derive(Default)]
struct State {
    has_happened: Cell<bool>,
    news: Notify,
}

impl Departure {
    /// The client has closed its side: it sends nothing more.
    pub(super) fn happens(&self) {
        self.0.has_happened.set(true);
        self.0.news.notify_waiters();
    }

    /// The outcome of this work, which is dropped if the client leaves first: `None`.
    pub(super) async fn before<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let news = self.0.news.notified();
        if self.0.has_happened.get() {
            return None;
        }
        tokio::select! {
            outcome = work => Some(outcome),
            () = news => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_when_the_client_leaves_and_later_work_does_not_begin() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let departure = Departure::default();
            assert_eq!(departure.before(async { 1 }).await, Some(1));
            let work = async {
                departure.happens();
                std::future::pending::<()>().await;
            };
            assert_eq!(departure.before(work).await, None);
            assert_eq!(departure.before(async { 2 }).await, None);
        });
    }
}
