//! The pages that are open, each with a stream of events.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use actix_web::body::BodySize;
use actix_web::body::MessageBody;
use actix_web::web::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// The most pages that are kept up to date. Each takes a connection.
pub(super) const MOST: usize = 32;

/// A viewer that has read nothing for this many looks, half a minute, leaves its place to another.
const PATIENCE: u32 = 60;

/// Events that a viewer may be behind. A slower one gets the whole page later.
const BEHIND: usize = 4;

/// The pages that are open.
#[derive(Default)]
pub(crate) struct Viewers(Mutex<Open>);

#[derive(Default)]
struct Open {
    viewers: Vec<Viewer>,
    /// Whether the server is about to stop. A stream that began later would delay that.
    is_over: bool,
}

struct Viewer {
    events: mpsc::Sender<Bytes>,
    /// Whether it has all that was sent so far.
    is_up_to_date: bool,
    /// How often in a row it had no room for an event.
    refused: u32,
}

impl Viewers {
    /// One more; `None` if there are too many, or the streams have ended.
    pub(super) fn add(&self) -> Option<Events> {
        let mut open = self.0.lock();
        open.viewers.retain(|viewer| !viewer.events.is_closed());
        if open.is_over || open.viewers.len() >= MOST {
            return None;
        }
        let (events, receiver) = mpsc::channel(BEHIND);
        open.viewers.push(Viewer { events, is_up_to_date: false, refused: 0 });
        Some(Events(receiver))
    }

    pub(super) fn are_none(&self) -> bool {
        let viewers = &mut self.0.lock().viewers;
        viewers.retain(|viewer| !viewer.events.is_closed());
        viewers.is_empty()
    }

    /// Sends `changes` to those that are up to date, and `whole` to the others.
    pub(super) fn send(&self, whole: &Bytes, changes: Option<&Bytes>) {
        self.0.lock().viewers.retain_mut(|viewer| {
            let event = if viewer.is_up_to_date { changes } else { Some(whole) };
            if let Some(event) = event {
                viewer.is_up_to_date = viewer.events.try_send(event.clone()).is_ok();
                viewer.refused = if viewer.is_up_to_date { 0 } else { viewer.refused + 1 };
            }
            viewer.refused < PATIENCE
        });
    }

    /// Ends all streams, for good: the server is about to stop.
    pub(super) fn end(&self) {
        let mut open = self.0.lock();
        open.is_over = true;
        for viewer in open.viewers.drain(..) {
            // Fails if the viewer is behind or gone.
            let _ = viewer.events.try_send(Bytes::from_static(b"event: drain\ndata:\n\n"));
        }
    }
}

/// The body of a stream of events.
pub(super) struct Events(mpsc::Receiver<Bytes>);

impl MessageBody for Events {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(events: &mut Events) -> Option<String> {
        events.0.try_recv().ok().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn a_new_viewer_gets_the_whole_page_and_then_changes() {
        let (viewers, whole, changes) =
            (Viewers::default(), Bytes::from_static(b"whole"), Bytes::from_static(b"changes"));
        let mut one = viewers.add().unwrap();
        viewers.send(&whole, Some(&changes));
        viewers.send(&whole, Some(&changes));
        viewers.send(&whole, None);
        assert_eq!(
            (next(&mut one).as_deref(), next(&mut one).as_deref()),
            (Some("whole"), Some("changes"))
        );
        assert_eq!(next(&mut one), None);
    }

    #[test]
    fn a_slow_viewer_gets_the_whole_page_again() {
        let (viewers, whole, changes) =
            (Viewers::default(), Bytes::from_static(b"whole"), Bytes::from_static(b"changes"));
        let mut slow = viewers.add().unwrap();
        for _ in 0..=BEHIND {
            viewers.send(&whole, Some(&changes));
        }
        while next(&mut slow).is_some() {}
        viewers.send(&whole, Some(&changes));
        assert_eq!(next(&mut slow).as_deref(), Some("whole"));
    }

    #[test]
    fn who_reads_nothing_loses_its_place() {
        let (viewers, whole) = (Viewers::default(), Bytes::from_static(b"whole"));
        let _silent = viewers.add().unwrap();
        let mut reader = viewers.add().unwrap();
        for _ in 0..(PATIENCE as usize + BEHIND + 1) {
            viewers.send(&whole, Some(&whole));
            assert_eq!(next(&mut reader).as_deref(), Some("whole"));
        }
        assert_eq!(viewers.0.lock().viewers.len(), 1);
    }

    #[test]
    fn viewers_are_limited_and_leave() {
        let viewers = Viewers::default();
        let mut open: Vec<Events> = (0..MOST).map(|_| viewers.add().unwrap()).collect();
        assert!(viewers.add().is_none());
        open.pop();
        assert!(viewers.add().is_some());
        viewers.end();
        assert_eq!(next(&mut open[0]).as_deref(), Some("event: drain\ndata:\n\n"));
        assert!(viewers.are_none() && viewers.add().is_none());
    }
}
