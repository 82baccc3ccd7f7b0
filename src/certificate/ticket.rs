//! TLS session tickets (RFC 5077, RFC 8446 §4.6.1) whose keys outlive the process: they travel
//! to a successor with the listening sockets and through systemd's descriptor store, so that
//! clients who come back after a restart resume instead of paying for a full handshake.
//!
//! A key encrypts for one rotation and decrypts for one more; then it is gone, and with it the
//! chance to decrypt what was recorded of those sessions.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

/// How long a key encrypts. Tickets live that long at least and twice that at most.
pub const ROTATION: Duration = Duration::from_secs(12 * 60 * 60);

/// Keys in use at once: one encrypts, the one before it still decrypts.
const KEYS: usize = 2;

const NAME_LEN: usize = 16;
const SECRET_LEN: usize = 32;
const TAG_LEN: usize = 16;

/// One key as it is carried along: its name, when it was made, the secret.
const CARRIED_LEN: usize = NAME_LEN + 8 + SECRET_LEN;

/// One ticket key. Its name stands in front of every ticket that it encrypted.
struct Key {
    name: [u8; NAME_LEN],
    /// Seconds since 1970.
    made: u64,
    secret: Zeroizing<[u8; SECRET_LEN]>,
    cipher: RandomizedNonceKey,
}

impl Key {
    fn new(
        name: [u8; NAME_LEN],
        made: u64,
        secret: Zeroizing<[u8; SECRET_LEN]>,
    ) -> Result<Self, NoRandomness> {
        let cipher =
            RandomizedNonceKey::new(&AES_256_GCM, secret.as_ref()).map_err(|_| NoRandomness)?;
        Ok(Self {
            name,
            made,
            secret,
            cipher,
        })
    }

    fn generate(now: u64) -> Result<Self, NoRandomness> {
        let mut name = [0; NAME_LEN];
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        rand::fill(&mut name).map_err(|_| NoRandomness)?;
        rand::fill(secret.as_mut()).map_err(|_| NoRandomness)?;
        Self::new(name, now, secret)
    }
}

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot make a TLS ticket key: no randomness")]
pub struct NoRandomness;

/// The ticket keys of the process. One set serves all listeners.
pub struct TicketKeys {
    /// The newest first; never empty.
    keys: ArcSwap<Vec<Arc<Key>>>,
}

impl TicketKeys {
    /// Keys that nobody has used before.
    ///
    /// # Errors
    /// No randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        let key = Key::generate(now())?;
        Ok(Self {
            keys: ArcSwap::from_pointee(vec![Arc::new(key)]),
        })
    }

    /// The keys of a predecessor, as [`Self::carry`] gave them, less those that are too old. With
    /// none left, or if they cannot be read, new ones.
    ///
    /// # Errors
    /// No randomness.
    pub fn take_over(carried: &[u8]) -> Result<Self, NoRandomness> {
        let now = now();
        let mut keys = Vec::new();
        for one in carried.chunks_exact(CARRIED_LEN).take(KEYS) {
            let (name, rest) = one.split_at(NAME_LEN);
            let (made, bytes) = rest.split_at(8);
            let (Ok(name), Ok(made)) = (name.try_into(), made.try_into()) else {
                continue;
            };
            let made = u64::from_be_bytes(made);
            let mut secret = Zeroizing::new([0; SECRET_LEN]);
            secret.copy_from_slice(bytes);
            // A clock that was set back must not make a key live on.
            if made <= now && now - made < 2 * ROTATION.as_secs() {
                keys.push(Arc::new(Key::new(name, made, secret)?));
            }
        }
        if keys.is_empty() {
            return Self::generate();
        }
        let keys = Self {
            keys: ArcSwap::from_pointee(keys),
        };
        keys.rotate_if_due()?;
        Ok(keys)
    }

    /// What a successor needs to go on with these keys. Secret.
    pub fn carry(&self) -> Zeroizing<Vec<u8>> {
        let keys = self.keys.load();
        // With all its room from the start: growing would leave copies behind.
        let mut carried = Zeroizing::new(Vec::with_capacity(KEYS * CARRIED_LEN));
        for key in keys.iter() {
            carried.extend_from_slice(&key.name);
            carried.extend_from_slice(&key.made.to_be_bytes());
            carried.extend_from_slice(key.secret.as_ref());
        }
        carried
    }

    /// Makes a new key when the newest has encrypted for [`ROTATION`]. True: it did, and what
    /// was [carried](Self::carry) before is out of date.
    ///
    /// # Errors
    /// No randomness; the old keys stay.
    pub fn rotate_if_due(&self) -> Result<bool, NoRandomness> {
        self.rotate_at(now())
    }

    fn rotate_at(&self, now: u64) -> Result<bool, NoRandomness> {
        let keys = self.keys.load_full();
        let age = keys
            .first()
            .map_or(u64::MAX, |key| now.saturating_sub(key.made));
        if age < ROTATION.as_secs() {
            return Ok(false);
        }
        let mut rotated = vec![Arc::new(Key::generate(now)?)];
        let young = |key: &&Arc<Key>| now.saturating_sub(key.made) < 2 * ROTATION.as_secs();
        rotated.extend(keys.iter().filter(young).take(KEYS - 1).cloned());
        self.keys.store(Arc::new(rotated));
        Ok(true)
    }
}

/// Without the keys.
impl fmt::Debug for TicketKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TicketKeys({})", self.keys.load().len())
    }
}

/// A ticket is the key's name, the nonce, the encrypted state and the tag.
impl ProducesTickets for TicketKeys {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(ROTATION.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys.load();
        let key = keys.first()?;
        let start = NAME_LEN + NONCE_LEN;
        let mut ticket = Vec::with_capacity(start + plain.len() + TAG_LEN);
        ticket.extend_from_slice(&key.name);
        ticket.resize(start, 0);
        ticket.extend_from_slice(plain);
        let (nonce, tag) = key
            .cipher
            .seal_in_place_separate_tag(Aad::from(&key.name), &mut ticket[start..])
            .ok()?;
        ticket[NAME_LEN..start].copy_from_slice(nonce.as_ref());
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_LEN)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let keys = self.keys.load();
        // Names are public, so how long the comparison takes tells nothing.
        let key = keys.iter().find(|key| key.name == name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = sealed.to_vec();
        let len = key
            .cipher
            .open_in_place(nonce, Aad::from(&key.name), &mut plain)
            .ok()?
            .len();
        plain.truncate(len);
        Some(plain)
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aged(keys: &TicketKeys, seconds: u64) -> Zeroizing<Vec<u8>> {
        let mut carried = keys.carry();
        for one in carried.chunks_exact_mut(CARRIED_LEN) {
            let made = u64::from_be_bytes(one[NAME_LEN..][..8].try_into().unwrap());
            one[NAME_LEN..][..8].copy_from_slice(&(made - seconds).to_be_bytes());
        }
        carried
    }

    #[test]
    fn a_ticket_outlives_the_process() {
        let keys = TicketKeys::generate().unwrap();
        let ticket = keys.encrypt(b"session").unwrap();
        let successor = TicketKeys::take_over(&keys.carry()).unwrap();
        assert_eq!(
            successor.decrypt(&ticket).as_deref(),
            Some(b"session".as_slice())
        );
        assert_eq!(TicketKeys::generate().unwrap().decrypt(&ticket), None);
    }

    #[test]
    fn a_ticket_that_was_changed_anywhere_is_refused() {
        let keys = TicketKeys::generate().unwrap();
        let ticket = keys.encrypt(b"session").unwrap();
        for place in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[place] ^= 1;
            assert_eq!(keys.decrypt(&changed), None, "byte {place}");
            assert_eq!(keys.decrypt(&ticket[..place]), None, "cut at {place}");
        }
    }

    #[test]
    fn a_key_is_gone_after_two_rotations() {
        let keys = TicketKeys::generate().unwrap();
        let ticket = keys.encrypt(b"session").unwrap();
        let rotation = ROTATION.as_secs();
        assert!(!keys.rotate_at(now() + rotation - 2).unwrap());
        assert!(keys.rotate_at(now() + rotation).unwrap());
        assert!(keys.decrypt(&ticket).is_some());
        assert!(keys.encrypt(b"session").unwrap()[..NAME_LEN] != ticket[..NAME_LEN]);
        assert!(keys.rotate_at(now() + 2 * rotation).unwrap());
        assert_eq!(keys.decrypt(&ticket), None);
    }

    #[test]
    fn a_successor_keeps_no_key_that_is_too_old() {
        let keys = TicketKeys::generate().unwrap();
        let ticket = keys.encrypt(b"session").unwrap();
        let rotation = ROTATION.as_secs();
        let later = TicketKeys::take_over(&aged(&keys, rotation)).unwrap();
        assert!(later.decrypt(&ticket).is_some());
        assert!(later.encrypt(b"session").unwrap()[..NAME_LEN] != ticket[..NAME_LEN]);
        let last = TicketKeys::take_over(&aged(&keys, 2 * rotation)).unwrap();
        assert_eq!(last.decrypt(&ticket), None);
    }

    #[test]
    fn what_cannot_be_read_is_replaced() {
        for carried in [
            &[][..],
            &[1; 3],
            &[0xff; CARRIED_LEN],
            &[0xff; 5 * CARRIED_LEN],
        ] {
            assert!(
                TicketKeys::take_over(carried)
                    .unwrap()
                    .encrypt(b"session")
                    .is_some()
            );
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        assert_eq!(
            format!("{:?}", TicketKeys::generate().unwrap()),
            "TicketKeys(1)"
        );
    }
}
