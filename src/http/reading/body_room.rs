//! Bodies under way: how much memory clients can occupy together while their bodies arrive.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::http::problem::Kind;
use crate::http::problem::Problem;

/// For all bodies together, or four of the largest size if that is more.
const MAX_BYTES: usize = 128 << 20;

/// The first bytes of each body need no room. Most bodies are no larger, and a client that sends next to nothing
/// takes nothing from the others.
pub(super) const FREE_BYTES: usize = 16 << 10;

/// Room for the bodies that arrive. A body takes it as its bytes arrive, whatever length was declared.
pub struct BodyRoom(Arc<Semaphore>);

/// Room of one body, until it is dropped.
pub type Reserved = OwnedSemaphorePermit;

impl BodyRoom {
    /// The room of a server whose bodies have at most this many bytes.
    pub(crate) fn new(body_limit: usize) -> BodyRoom {
        let kilobytes = kilobytes(MAX_BYTES.max(body_limit.saturating_mul(4)));
        BodyRoom(Arc::new(Semaphore::new(kilobytes as usize)))
    }

    /// Extends the room of a body that occupies this many bytes from now on.
    pub(super) fn extend(&self, room: &mut Option<Reserved>, bytes: usize) -> Result<(), Problem> {
        let held = room.as_ref().map_or(0, Reserved::num_permits);
        let needed = kilobytes(bytes.saturating_sub(FREE_BYTES));
        let more = needed.saturating_sub(u32::try_from(held).unwrap_or(u32::MAX));
        if more == 0 {
            return Ok(());
        }
        let more = self.0.clone().try_acquire_many_owned(more).map_err(|_| {
            Problem::new(Kind::TooManyBodies, "too many bodies arrive at the same time; try again")
        })?;
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        Ok(())
    }
}

fn kilobytes(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of this size that has arrived.
    fn arrived(room: &BodyRoom, bytes: usize) -> Option<Reserved> {
        let mut reserved = None;
        room.extend(&mut reserved, bytes).ok()?;
        reserved
    }

    #[test]
    fn bodies_share_their_room_and_give_it_back() {
        let room = BodyRoom::new(1 << 20);
        let size = FREE_BYTES + (1 << 20);
        let mut bodies: Vec<Reserved> = (0..128).map(|_| arrived(&room, size).unwrap()).collect();
        assert!(arrived(&room, FREE_BYTES + 1).is_none());
        bodies.pop();
        assert!(arrived(&room, size + 1).is_none());
        assert!(arrived(&room, size).is_some());
    }

    #[test]
    fn a_body_takes_room_as_it_arrives() {
        let room = BodyRoom::new(1 << 20);
        let all = room.0.available_permits();
        let mut one = None;
        for (bytes, taken) in [(0, 0), (FREE_BYTES, 0), (FREE_BYTES + 1, 1), (1 << 20, 1008)] {
            room.extend(&mut one, bytes).unwrap();
            assert_eq!(all - room.0.available_permits(), taken, "{bytes} bytes");
        }
        drop(one);
        assert_eq!(room.0.available_permits(), all);
    }

    #[test]
    fn four_of_the_largest_bodies_always_fit() {
        let room = BodyRoom::new(1 << 30);
        let bodies: Vec<Reserved> = (0..4).map(|_| arrived(&room, 1 << 30).unwrap()).collect();
        assert_eq!(bodies.len(), 4);
    }
}
