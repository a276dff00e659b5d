//! Messages on an authenticated connection: a length, a body, and a code over direction, number and body.
//!
//! ```text
//! length of the body  u32 · body · HMAC(session key, side, number of the message, body)  32
//! ```
//!
//! A message that was changed, repeated, left out or sent back is none.

use std::io::{self, Read, Write};

use super::key::{CODE_BYTES, Code, Key};

/// The longest body; agreements about a thousand processes are shorter.
const MOST_BYTES: usize = 1 << 19;

/// The two sides of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Acceptor,
}

impl Side {
    fn label(self) -> &'static [u8] {
        match self {
            Side::Caller => b"from the caller",
            Side::Acceptor => b"from the acceptor",
        }
    }

    fn other(self) -> Side {
        match self {
            Side::Caller => Side::Acceptor,
            Side::Acceptor => Side::Caller,
        }
    }
}

/// A connection's key, and which side of it this is.
#[derive(Debug)]
pub(super) struct Session {
    key: Key,
    side: Side,
}

impl Session {
    pub(super) fn new(key: Key, side: Side) -> Session {
        Session { key, side }
    }

    /// The end that writes; a session has one.
    pub(super) fn writer<S: Write>(&self, stream: S) -> FrameWriter<S> {
        FrameWriter { stream, seal: Seal { key: self.key.clone(), side: self.side, number: 0 } }
    }

    /// The end that reads; a session has one.
    pub(super) fn reader<S: Read>(&self, stream: S) -> FrameReader<S> {
        FrameReader { stream, seal: Seal { key: self.key.clone(), side: self.side.other(), number: 0 } }
    }
}

/// What makes the codes of one direction.
#[derive(Debug)]
struct Seal {
    key: Key,
    side: Side,
    number: u64,
}

impl Seal {
    fn next_number(&mut self) -> [u8; 8] {
        self.number += 1;
        self.number.to_le_bytes()
    }
}

/// Writes messages.
#[derive(Debug)]
pub(super) struct FrameWriter<S> {
    stream: S,
    seal: Seal,
}

impl<S: Write> FrameWriter<S> {
    /// Writes a message.
    pub(super) fn send(&mut self, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MOST_BYTES);
        let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
        let number = self.seal.next_number();
        let code = self.seal.key.code(&[self.seal.side.label(), &number, body]);
        self.stream.write_all(&[&length.to_le_bytes(), body, &code].concat())
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// The same end on another handle of the stream.
    pub(super) fn on<T>(self, stream: T) -> FrameWriter<T> {
        FrameWriter { stream, seal: self.seal }
    }
}

/// Reads messages.
#[derive(Debug)]
pub(super) struct FrameReader<S> {
    stream: S,
    seal: Seal,
}

impl<S: Read> FrameReader<S> {
    /// Reads a message. The stream stands behind it afterwards: nothing more was read.
    pub(super) fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if MOST_BYTES < length {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message of the other process is too long"));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let mut code: Code = [0; CODE_BYTES];
        self.stream.read_exact(&mut code)?;
        let number = self.seal.next_number();
        if !self.seal.key.confirms(&[self.seal.side.label(), &number, &body], &code) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message of the other process was changed"));
        }
        Ok(body)
    }

    /// The same end on another handle of the stream.
    pub(super) fn on<T>(self, stream: T) -> FrameReader<T> {
        FrameReader { stream, seal: self.seal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> (Session, Session) {
        let key = Key::new(b"the key of a session");
        (Session::new(key.clone(), Side::Caller), Session::new(key, Side::Acceptor))
    }

    fn sent(session: &Session, bodies: &[&[u8]]) -> Vec<u8> {
        let mut writer = session.writer(Vec::new());
        bodies.iter().for_each(|body| writer.send(body).unwrap());
        writer.stream
    }

    #[test]
    fn messages_arrive_in_order_and_only_so() {
        let (caller, acceptor) = sessions();
        let bytes = sent(&caller, &[b"one", b"", b"three"]);
        let mut reader = acceptor.reader(&bytes[..]);
        assert_eq!(reader.receive().unwrap(), b"one");
        assert_eq!(reader.receive().unwrap(), b"");
        assert_eq!(reader.receive().unwrap(), b"three");
        assert_eq!(reader.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        // Left out, repeated, sent back.
        let first = 4 + 3 + CODE_BYTES;
        assert!(acceptor.reader(&bytes[first..]).receive().is_err());
        let twice = [&bytes[..first], &bytes[..first]].concat();
        let mut reader = acceptor.reader(&twice[..]);
        assert!(reader.receive().is_ok() && reader.receive().is_err());
        assert!(caller.reader(&bytes[..]).receive().is_err());
    }

    #[test]
    fn every_truncation_and_flipped_bit_is_refused() {
        let (caller, acceptor) = sessions();
        let bytes = sent(&caller, &[b"a message"]);
        for length in 0..bytes.len() {
            assert!(acceptor.reader(&bytes[..length]).receive().is_err(), "{length}");
        }
        for bit in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes.extend([0; 64]); // a longer length finds something to read
            assert!(acceptor.reader(&bytes[..]).receive().is_err(), "{bit}");
        }
        assert!(caller.writer(Vec::new()).send(&vec![0; MOST_BYTES + 1]).is_err());
    }
}
