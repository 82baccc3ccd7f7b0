//! The few pieces of RFC 6455 that both ends of the benchmark need. Frames are built once and
//! sent many times: all messages of a run are alike, so the stream of echoes is a repetition of
//! one known byte string, and comparing with it checks opcode, length and content at once.

use anyhow::{Result, ensure};

/// Any key that is not zero, so that the application has real unmasking to do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// FIN and the opcode for binary data (RFC 6455 §5.2).
pub(crate) const BINARY: u8 = 0x82;
/// FIN and the opcode for Close.
pub(crate) const CLOSE: u8 = 0x88;
/// The body of a Close frame with code 1000.
pub(crate) const NORMAL: [u8; 2] = 1000u16.to_be_bytes();

/// A whole frame as a client sends it.
pub(crate) fn masked(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    put_header(&mut frame, first_byte, payload.len(), 0x80);
    frame.extend_from_slice(&MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// A whole frame as a server sends it.
pub(crate) fn unmasked(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    put_header(&mut frame, first_byte, payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

/// Appends a header in the shortest form for the length.
pub(crate) fn put_header(frame: &mut Vec<u8>, first_byte: u8, length: usize, mask_bit: u8) {
    frame.push(first_byte);
    match length {
        0..=125 => frame.push(mask_bit | length as u8),
        126..=0xffff => {
            frame.push(mask_bit | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            frame.push(mask_bit | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// A client's frame at the front of a buffer.
pub(crate) struct ClientFrame {
    pub(crate) first_byte: u8,
    pub(crate) mask: [u8; 4],
    /// Where the payload starts and the frame ends, counted from the front.
    pub(crate) payload: std::ops::Range<usize>,
}

/// The frame at the front of `bytes`, or `None` while it is incomplete.
pub(crate) fn client_frame(bytes: &[u8]) -> Result<Option<ClientFrame>> {
    let [first_byte, second_byte, rest @ ..] = bytes else {
        return Ok(None);
    };
    ensure!(
        second_byte & 0x80 != 0,
        "a frame from a client is not masked (RFC 6455 §5.1)"
    );
    let (length, header) = match second_byte & 0x7f {
        126 => match rest.first_chunk() {
            Some(length) => (usize::from(u16::from_be_bytes(*length)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(length) => (usize::try_from(u64::from_be_bytes(*length))?, 10),
            None => return Ok(None),
        },
        short => (usize::from(short), 2),
    };
    ensure!(
        length <= 1 << 24,
        "a message of {length} bytes is larger than this application takes"
    );
    let payload = header + 4..header + 4 + length;
    let Some(mask) = bytes.get(header..).and_then(<[u8]>::first_chunk) else {
        return Ok(None);
    };
    if bytes.len() < payload.end {
        return Ok(None);
    }
    Ok(Some(ClientFrame {
        first_byte: *first_byte,
        mask: *mask,
        payload,
    }))
}

/// Applies the mask from its first byte on, sixteen bytes at a time.
pub(crate) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide = u128::from_ne_bytes(std::array::from_fn(|at| mask[at % 4]));
    let mut blocks = payload.chunks_exact_mut(16);
    for block in &mut blocks {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(block);
        block.copy_from_slice(&(u128::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
    }
    for (byte, key) in blocks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// How far one client is in the stream of echoes that it must get back.
#[derive(Default)]
pub(crate) struct Echoes {
    position: usize,
}

impl Echoes {
    /// Compares the next bytes from the server with repetitions of `echo`; returns how many
    /// echoes they completed.
    pub(crate) fn take(&mut self, mut bytes: &[u8], echo: &[u8]) -> Result<usize> {
        let mut completed = 0;
        while !bytes.is_empty() {
            let expected = &echo[self.position..];
            let (here, later) = bytes.split_at(expected.len().min(bytes.len()));
            ensure!(
                here == &expected[..here.len()],
                "an echo differs from what was sent"
            );
            self.position += here.len();
            bytes = later;
            if self.position == echo.len() {
                self.position = 0;
                completed += 1;
            }
        }
        Ok(completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_masks_the_application_reads_back() {
        for length in [0, 1, 15, 16, 17, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut sent = masked(BINARY, &payload);
            let whole = sent.len();
            assert!(
                client_frame(&sent[..whole - 1]).unwrap().is_none(),
                "{length}"
            );
            sent.extend_from_slice(b"next");
            let frame = client_frame(&sent).unwrap().unwrap();
            assert_eq!((frame.first_byte, frame.payload.end), (BINARY, whole));
            let mut received = sent[frame.payload].to_vec();
            unmask(&mut received, frame.mask);
            assert_eq!(received, payload);
        }
    }

    #[test]
    fn echoes_are_counted_however_they_are_cut_and_a_changed_byte_is_noticed() {
        let echo = unmasked(BINARY, &[7; 200]);
        let mut stream = echo.repeat(3);
        for size in [1, 7, 204, 205, 1000] {
            let mut echoes = Echoes::default();
            let pieces = stream
                .chunks(size)
                .map(|piece| echoes.take(piece, &echo).unwrap());
            assert_eq!(pieces.sum::<usize>(), 3, "{size}");
        }
        stream[300] ^= 1;
        assert!(Echoes::default().take(&stream, &echo).is_err());
    }

    #[test]
    fn an_unmasked_frame_from_a_client_is_refused() {
        assert!(client_frame(&unmasked(BINARY, b"hello")).is_err());
    }
}
