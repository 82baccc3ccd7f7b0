//! The buffers that bytes pass through. One set per worker thread: a relay borrows it while it is
//! polled and gives it back before it waits, so an idle connection holds none.

use std::cell::RefCell;

use super::tls::Records;

/// What one read may take from a socket, in bytes.
pub(super) const READ_SIZE: usize = 64 * 1024;

/// Room beside a read for what was held back before it: a TLS record that had not come in full
/// (at most 16 KiB and its overhead), or the beginning of a frame.
const HELD_SIZE: usize = 32 * 1024;

/// A fixed buffer that is filled from the front.
pub(super) struct Chunk {
    bytes: Box<[u8]>,
    filled: usize,
}

impl Chunk {
    fn new() -> Self {
        Self {
            bytes: vec![0; READ_SIZE + HELD_SIZE].into(),
            filled: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }

    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    pub(super) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.filled]
    }

    /// Where a read goes: at most [`READ_SIZE`] bytes.
    pub(super) fn spare(&mut self) -> &mut [u8] {
        let end = (self.filled + READ_SIZE).min(self.bytes.len());
        &mut self.bytes[self.filled..end]
    }

    /// Says that `n` bytes of [`Self::spare`] have been filled.
    pub(super) fn advance(&mut self, n: usize) {
        self.filled += n;
        assert!(self.filled <= self.bytes.len());
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.bytes[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }
}

/// The buffers of one thread.
pub(super) struct Scratch {
    /// As it came from the network, when that is TLS.
    pub(super) ciphertext: Chunk,
    /// What the relay looks at.
    pub(super) plaintext: Chunk,
    /// TLS records on their way out.
    pub(super) records: Records,
}

thread_local! {
    static SCRATCH: RefCell<Option<Box<Scratch>>> = const { RefCell::new(None) };
}

/// Lends this thread's buffers to `f`. A nested call gets a fresh set, which costs but is right.
pub(super) fn with_scratch<T>(f: impl FnOnce(&mut Scratch) -> T) -> T {
    let mut scratch = SCRATCH.take().unwrap_or_else(|| {
        Box::new(Scratch {
            ciphertext: Chunk::new(),
            plaintext: Chunk::new(),
            records: Records::new(),
        })
    });
    let result = f(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}
