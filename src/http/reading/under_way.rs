//! Bodies under way: how much memory clients can occupy together while their bodies arrive.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::http::problem::Kind;
use crate::http::problem::Problem;

/// For all bodies together, or four of the largest size if that is more.
const MAX_BYTES: usize = 128 << 20;

/// Room for the bodies that arrive. Bodies that are there already need none.
pub struct BodyRoom(Arc<Semaphore>);

/// Room for one body, until it is dropped.
pub type Reserved = OwnedSemaphorePermit;

impl BodyRoom {
    /// The room of a server whose bodies have at most this many bytes.
    pub(crate) fn new(body_limit: usize) -> BodyRoom {
        let kilobytes = kilobytes(MAX_BYTES.max(body_limit.saturating_mul(4)));
        BodyRoom(Arc::new(Semaphore::new(kilobytes as usize)))
    }

    /// Reserves room for a body of this size.
    pub(super) fn reserve(&self, bytes: usize) -> Result<Reserved, Problem> {
        self.0.clone().try_acquire_many_owned(kilobytes(bytes)).map_err(|_| {
            Problem::new(Kind::Overloaded, "too many bodies arrive at the same time; try again")
        })
    }
}

fn kilobytes(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_their_room_and_give_it_back() {
        let room = BodyRoom::new(1 << 20);
        let mut bodies: Vec<Reserved> = (0..128).map(|_| room.reserve(1 << 20).unwrap()).collect();
        assert!(room.reserve(1).is_err());
        bodies.pop();
        assert!(room.reserve((1 << 20) + 1).is_err());
        assert!(room.reserve(1 << 20).is_ok());
    }

    #[test]
    fn four_of_the_largest_bodies_always_fit() {
        let room = BodyRoom::new(1 << 30);
        let bodies: Vec<_> = (0..4).map(|_| room.reserve(1 << 30).unwrap()).collect();
        assert_eq!(bodies.len(), 4);
    }
}
