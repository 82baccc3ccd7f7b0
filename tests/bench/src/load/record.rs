//! TLS 1.3 records with AES-128-GCM (RFC 8446 §5), for connections whose handshake rustls has done.
//! The load generator shares its core with the application, so it must cost less than any proxy:
//! this seals and opens in place, without the buffers and queues of a general TLS library.

use anyhow::{Result, bail, ensure};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets};

const HEADER: usize = 5;
const TAG: usize = 16;
/// The largest plaintext of one record.
pub(crate) const FRAGMENT: usize = 1 << 14;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// The handshake message that carries a ticket (RFC 8446 §4.6.1).
const NEW_SESSION_TICKET: u8 = 4;

/// One direction's key and place in the sequence.
struct Direction {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Direction {
    fn new((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Result<Self> {
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
            bail!("the server chose another cipher than AES-128-GCM");
        };
        let key = UnboundKey::new(&AES_128_GCM, key.as_ref())?;
        Ok(Self {
            key: LessSafeKey::new(key),
            iv: iv.as_ref().try_into()?,
            sequence,
        })
    }

    /// RFC 8446 §5.3: the sequence number, padded on the left, exclusive-or the IV.
    fn nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, mask) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= mask;
        }
        self.sequence += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Both directions of one connection.
pub(crate) struct Records {
    sending: Direction,
    receiving: Direction,
}

impl Records {
    pub(crate) fn new(secrets: ExtractedSecrets) -> Result<Self> {
        Ok(Self {
            sending: Direction::new(secrets.tx)?,
            receiving: Direction::new(secrets.rx)?,
        })
    }

    /// Appends `data`, at most [`FRAGMENT`] bytes, as one record.
    pub(crate) fn seal(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let length = u16::try_from(data.len() + 1 + TAG)?.to_be_bytes();
        let header = [APPLICATION_DATA, 3, 3, length[0], length[1]];
        out.extend_from_slice(&header);
        let start = out.len();
        out.extend_from_slice(data);
        out.push(APPLICATION_DATA);
        let nonce = self.sending.nonce();
        let key = &self.sending.key;
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(header), &mut out[start..])?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens the record at the front of `bytes`. Returns its length on the wire and the data in
    /// it (none if it held a ticket), or `None` while it is incomplete.
    pub(crate) fn open<'a>(&mut self, bytes: &'a mut [u8]) -> Result<Option<(usize, &'a [u8])>> {
        let Some(&header) = bytes.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let end = HEADER + usize::from(u16::from_be_bytes([header[3], header[4]]));
        let Some(sealed) = bytes.get_mut(HEADER..end) else {
            return Ok(None);
        };
        ensure!(
            header[0] == APPLICATION_DATA,
            "a record of type {} came in the clear",
            header[0]
        );
        let nonce = self.receiving.nonce();
        let Ok(opened) = self
            .receiving
            .key
            .open_in_place(nonce, Aad::from(header), sealed)
        else {
            bail!("a record cannot be decrypted");
        };
        let Some(at) = opened.iter().rposition(|byte| *byte != 0) else {
            bail!("a record has no content type");
        };
        let (kind, data) = (opened[at], &opened[..at]);
        match (kind, data.first()) {
            (APPLICATION_DATA, _) => Ok(Some((end, data))),
            (HANDSHAKE, Some(&NEW_SESSION_TICKET)) => Ok(Some((end, &[]))),
            (HANDSHAKE, message) => bail!("unexpected handshake message {message:?}"),
            (ALERT, _) => bail!("the proxy sent the alert {data:?}"),
            _ => bail!("a record holds the unknown content type {kind}"),
        }
    }
}
