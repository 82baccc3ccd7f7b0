//! What a process leaves to the one after it, besides the sockets: as one sealed memory file in
//! systemd's descriptor store, or with the handoff. Never on a disk.
//!
//! The form is a magic number and then sections of a tag, a length (4 bytes, big endian) and a
//! value. Unknown sections are skipped, so that old and new versions can follow each other
//! either way.

use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"batond 1";

/// The most that is read, in bytes.
const MAX: u64 = 1 << 20;

const TICKET_KEYS: u8 = 1;
const BOUND: u8 = 2;
const GENERATION: u8 = 3;

/// Sealed so that nobody who holds the descriptor can change what the next process reads.
const SEALS: SealFlags = SealFlags::SEAL
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// What goes on to the next process.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct State {
    /// As [`TicketKeys::carry`](crate::certificate::ticket::TicketKeys::carry) gives them.
    pub ticket_keys: Zeroizing<Vec<u8>>,
    /// `SO_COOKIE`s of the listening sockets that batond bound itself, wherever they are stored.
    pub bound: Vec<u64>,
    /// Counts up each time that a state is stored; 0: never was.
    pub generation: u64,
}

/// Why a state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Not sealed, or not a memory file at all.
    #[error("it is not a sealed memory file")]
    NotSealed,
    /// It begins with something else, or ends within a section.
    #[error("it is not a state of batond, or was cut short")]
    Malformed,
    /// What the system said.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl State {
    /// As bytes. Secret.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let bound: Vec<u8> = self
            .bound
            .iter()
            .flat_map(|cookie| cookie.to_be_bytes())
            .collect();
        let generation = self.generation.to_be_bytes();
        let sections = [
            (TICKET_KEYS, self.ticket_keys.as_slice()),
            (BOUND, &bound),
            (GENERATION, &generation),
        ];
        let len = sections
            .iter()
            .map(|(_, value)| 5 + value.len())
            .sum::<usize>();
        // With all its room from the start: growing would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + len));
        bytes.extend_from_slice(MAGIC);
        for (tag, value) in sections {
            bytes.push(tag);
            bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
            bytes.extend_from_slice(value);
        }
        bytes
    }

    /// From bytes; empty ones are an empty state.
    ///
    /// # Errors
    /// [`StateError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut state = Self::default();
        if bytes.is_empty() {
            return Ok(state);
        }
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(StateError::Malformed)?;
        while let Some((tag, after)) = rest.split_first() {
            let (len, after) = after
                .split_first_chunk::<4>()
                .ok_or(StateError::Malformed)?;
            let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
            let (value, after) = after.split_at_checked(len).ok_or(StateError::Malformed)?;
            match *tag {
                TICKET_KEYS => state.ticket_keys = Zeroizing::new(value.to_vec()),
                BOUND => {
                    let cookies = value.as_chunks::<8>().0;
                    state.bound = cookies.iter().map(|one| u64::from_be_bytes(*one)).collect();
                }
                GENERATION => {
                    let generation = value.try_into().map_err(|_| StateError::Malformed)?;
                    state.generation = u64::from_be_bytes(generation);
                }
                _ => {}
            }
            rest = after;
        }
        Ok(state)
    }

    /// As a sealed memory file, for the descriptor store.
    ///
    /// # Errors
    /// memfd_create(2) or write(2) failed.
    pub fn seal(&self) -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = std::fs::File::from(memfd_create("batond-state", flags)?);
        file.write_all(&self.encode())?;
        fcntl_add_seals(&file, SEALS)?;
        Ok(file.into())
    }

    /// From a sealed memory file.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn unseal(file: OwnedFd) -> Result<Self, StateError> {
        if !fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SEALS)) {
            return Err(StateError::NotSealed);
        }
        let mut file = std::fs::File::from(file);
        let len = file.metadata()?.len();
        if len > MAX {
            return Err(StateError::Malformed);
        }
        file.rewind()?;
        let mut bytes = Zeroizing::new(vec![0; usize::try_from(len).unwrap_or(0)]);
        file.read_exact(&mut bytes)?;
        Self::decode(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state() -> State {
        State {
            ticket_keys: Zeroizing::new(vec![7; 112]),
            bound: vec![1, u64::MAX],
            generation: 9,
        }
    }

    #[test]
    fn it_survives_a_memory_file() {
        let state = state();
        let sealed = state.seal().unwrap();
        let copy = sealed.try_clone().unwrap();
        assert!(State::unseal(sealed).unwrap() == state);
        // A second reader of the same open file sees it from its beginning, too.
        assert!(State::unseal(copy).unwrap() == state);
    }

    #[test]
    fn what_is_not_sealed_is_refused() {
        let file = memfd_create("other", MemfdFlags::CLOEXEC).unwrap();
        assert!(matches!(State::unseal(file), Err(StateError::NotSealed)));
        let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(matches!(
            State::unseal(socket.into()),
            Err(StateError::NotSealed)
        ));
    }

    #[test]
    fn sections_of_a_newer_version_are_skipped() {
        let mut bytes = state().encode();
        bytes.extend_from_slice(&[200, 0, 0, 0, 2, 9, 9]);
        assert!(State::decode(&bytes).unwrap() == state());
    }

    proptest! {
        #[test]
        fn garbage_and_cuts_are_refused_without_panic(bytes: Vec<u8>, cut in 1usize..100) {
            let _ = State::decode(&bytes);
            let whole = state().encode();
            let _ = State::decode(&whole[..cut.min(whole.len())]);
            let mut garbled = whole.to_vec();
            garbled.extend(bytes);
            let _ = State::decode(&garbled);
        }
    }
}
