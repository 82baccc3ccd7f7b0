//! Streams of frames: legal ones, ones in which anything may be wrong, and damaged ones.

use proptest::{collection::vec, prelude::*, sample::select};

use batond::edge::{
    close::{CloseCode, CloseFrame},
    frame::Sender,
};

/// A frame, right or wrong.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    /// RSV1–3, where they stand in the first byte.
    pub(crate) reserved: u8,
    pub(crate) opcode: u8,
    pub(crate) key: Option<[u8; 4]>,
    /// Bytes in the extended length, at least: 0, 2 or 8.
    pub(crate) length: usize,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let masked = if self.key.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![u8::from(self.fin) << 7 | self.reserved | self.opcode];
        match (self.length, self.payload.len()) {
            (0, len @ 0..=125) => bytes.push(masked | len as u8),
            (0 | 2, len @ 0..=0xffff) => {
                bytes.push(masked | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            (_, len) => {
                bytes.push(masked | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        let key = self.key.unwrap_or_default();
        bytes.extend(self.key.into_iter().flatten());
        bytes.extend(
            self.payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        bytes
    }
}

/// Legal frames, and what a receiver makes of them.
#[derive(Clone, Debug)]
pub(crate) struct Legal {
    pub(crate) sender: Sender,
    pub(crate) frames: Vec<Frame>,
    /// The code of the Close frame at the end; None if there is no such frame.
    pub(crate) close: Option<Option<CloseCode>>,
}

pub(crate) fn sender() -> impl Strategy<Value = Sender> {
    select(&[Sender::Client, Sender::Backend][..])
}

/// Pieces in which a stream arrives: bytes, frames, more than frames.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(
        prop_oneof![4 => 1..20usize, 2 => 100..200usize, 1 => 1000..100_000usize],
        1..6,
    )
}

/// Payloads around the lengths at which encodings and rules change.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let long = |len| (any::<u8>(), len).prop_map(|(byte, len): (u8, usize)| vec![byte; len]);
    prop_oneof![
        100 => vec(any::<u8>(), 0..12),
        20 => long(120..131usize),
        5 => long(200..2000usize),
        1 => long(65_530..65_540usize),
    ]
}

fn control_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..8), vec(any::<u8>(), 120..126)]
}

/// A Close payload, right or wrong.
fn close_payload() -> impl Strategy<Value = Vec<u8>> {
    let near = [
        0, 999, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1012, 1013, 1014, 1015, 1016,
    ];
    let far = [2999, 3000, 3999, 4000, 4999, 5000, 65535];
    let code = prop_oneof![4 => select([&near[..], &far[..]].concat()), 1 => any::<u16>()];
    let reason = prop_oneof![
        4 => "[a-zé€😀]{0,30}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..4),
    ];
    let whole = (code, reason)
        .prop_map(|(code, reason): (u16, _)| [code.to_be_bytes().to_vec(), reason].concat());
    prop_oneof![1 => vec(any::<u8>(), 0..2), 6 => whole]
}

fn key(sender: Sender) -> BoxedStrategy<Option<[u8; 4]>> {
    match sender {
        Sender::Client => any::<[u8; 4]>().prop_map(Some).boxed(),
        Sender::Backend => Just(None).boxed(),
    }
}

/// The form of the length: mostly the shortest.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![8 => Just(0usize), 1 => Just(2), 1 => Just(8)]
}

/// A data message in one or more fragments, with pings and pongs in between.
fn message(sender: Sender) -> impl Strategy<Value = Vec<Frame>> {
    let fragment = (payload(), key(sender), length());
    let control = (
        select(&[9u8, 10][..]),
        control_payload(),
        key(sender),
        length(),
    );
    let piece = (fragment, vec(control, 0..2));
    (select(&[1u8, 2][..]), vec(piece, 1..4)).prop_map(|(opcode, pieces)| {
        let count = pieces.len();
        let mut frames = Vec::new();
        for (at, ((payload, key, length), controls)) in pieces.into_iter().enumerate() {
            frames.push(Frame {
                fin: at + 1 == count,
                reserved: 0,
                opcode: if at == 0 { opcode } else { 0 },
                key,
                length,
                payload,
            });
            frames.extend(
                controls
                    .into_iter()
                    .map(|(opcode, payload, key, length)| Frame {
                        fin: true,
                        reserved: 0,
                        opcode,
                        key,
                        length,
                        payload,
                    }),
            );
        }
        frames
    })
}

/// Messages, and perhaps a Close at the end.
pub(crate) fn legal() -> impl Strategy<Value = Legal> {
    let code = select((0..5000).filter_map(CloseCode::new).collect::<Vec<_>>());
    let close = proptest::option::of((proptest::option::of(code), "[a-zé€😀]{0,30}"));
    sender().prop_flat_map(move |sender| {
        (vec(message(sender), 0..5), close.clone(), key(sender)).prop_map(
            move |(messages, close, key)| {
                let mut frames = messages.concat();
                if let Some((code, reason)) = &close {
                    let made = |code| CloseFrame::to_client(code, reason).as_bytes()[2..].to_vec();
                    let payload = code.map(made).unwrap_or_default();
                    frames.push(Frame {
                        fin: true,
                        reserved: 0,
                        opcode: 8,
                        key,
                        length: 0,
                        payload,
                    });
                }
                Legal {
                    sender,
                    frames,
                    close: close.map(|(code, _)| code),
                }
            },
        )
    })
}

/// A frame in which each field may be wrong, but few are.
fn wild(sender: Sender) -> impl Strategy<Value = Frame> {
    let wrong_key = match sender {
        Sender::Client => Sender::Backend,
        Sender::Backend => Sender::Client,
    };
    let opcode = prop_oneof![20 => select(&[0u8, 1, 2, 8, 9, 10][..]), 1 => 0..16u8];
    let reserved = prop_oneof![20 => Just(0u8), 1 => (0..8u8).prop_map(|bits| bits << 4)];
    let key = prop_oneof![20 => key(sender), 1 => key(wrong_key)];
    let fin = prop::bool::weighted(0.8);
    (fin, reserved, opcode, key, length()).prop_flat_map(|(fin, reserved, opcode, key, length)| {
        let payload = match opcode {
            8 => close_payload().boxed(),
            9.. => prop_oneof![6 => control_payload(), 1 => payload()].boxed(),
            _ => payload().boxed(),
        };
        payload.prop_map(move |payload| Frame {
            fin,
            reserved,
            opcode,
            key,
            length,
            payload,
        })
    })
}

/// What may happen to a byte of a stream.
#[derive(Clone, Debug)]
enum Damage {
    Flip(u8),
    Set(u8),
    Remove,
    Insert(u8),
    CutOff,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (0..8u32).prop_map(|bit| Damage::Flip(1 << bit)),
        2 => any::<u8>().prop_map(Damage::Set),
        1 => Just(Damage::Remove),
        1 => any::<u8>().prop_map(Damage::Insert),
        2 => Just(Damage::CutOff),
    ]
}

/// Any stream: wild frames, or legal ones with some bytes damaged, mostly in headers.
pub(crate) fn any_stream() -> impl Strategy<Value = (Sender, Vec<u8>)> {
    let wild = sender().prop_flat_map(|sender| (Just(sender), vec(wild(sender), 0..8)));
    let frames = prop_oneof![wild, legal().prop_map(|legal| (legal.sender, legal.frames))];
    let place = (any::<prop::sample::Index>(), 0..16usize);
    (frames, vec((place, damage()), 0..3)).prop_map(|((sender, frames), damages)| {
        let mut stream: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        for ((frame, into), damage) in damages {
            if frames.is_empty() {
                break;
            }
            let before = &frames[..frame.index(frames.len())];
            let at = before
                .iter()
                .map(|frame| frame.encode().len())
                .sum::<usize>()
                + into;
            if at >= stream.len() {
                continue;
            }
            match damage {
                Damage::Flip(bit) => stream[at] ^= bit,
                Damage::Set(byte) => stream[at] = byte,
                Damage::Remove => drop(stream.remove(at)),
                Damage::Insert(byte) => stream.insert(at, byte),
                Damage::CutOff => stream.truncate(at),
            }
        }
        (sender, stream)
    })
}
