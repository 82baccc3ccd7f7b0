//! What keeps to `limits.handshakes`.

use std::cell::RefCell;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// The permits of which each handshake holds one, and each accept loop while it waits for a
/// connection.
pub(super) struct Handshakes {
    /// How many there are, those that are held included, and who hands them out.
    current: RefCell<(usize, Arc<Semaphore>)>,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self {
            current: RefCell::new((0, Arc::new(Semaphore::new(0)))),
        }
    }
}

impl Handshakes {
    /// Hands out this many from now on. As long as the number stays the same, those who hold one
    /// go on counting. Another number begins anew: for as long as a handshake takes, there may be
    /// as many as before on top.
    pub(super) fn permits(&self, number: usize) -> Arc<Semaphore> {
        let mut current = self.current.borrow_mut();
        if current.0 != number {
            *current = (number, Arc::new(Semaphore::new(number)));
        }
        Arc::clone(&current.1)
    }
}
