//! How two processes that have met on a connection prove to each other that they have the job's key.
//!
//! ```text
//!   caller                                                       acceptor
//!     │  hello: magic, purpose, both numbers, run, nonce   80 bytes  │
//!     │ ───────────────────────────────────────────────────────────▶ │
//!     │                                    a nonce of its own     32 │
//!     │ ◀─────────────────────────────────────────────────────────── │
//!     │  HMAC(key, "caller", hello, nonce)                        32 │
//!     │ ───────────────────────────────────────────────────────────▶ │   wrong: closes without a word
//!     │                       HMAC(key, "acceptor", hello, nonce) 32 │
//!     │ ◀─────────────────────────────────────────────────────────── │
//! ```
//!
//! Both nonces are fresh, so what was recorded once proves nothing later; the two codes have different labels, so one
//! cannot be sent back as the other. The acceptor shows nothing that depends on the key to anybody who has not proved
//! that he has it, and every message has a fixed length. What follows on the connection is sealed with a key of this
//! session ([`super::frames`]). Nothing is encrypted.

use std::io::{self, ErrorKind, Read, Write};

use super::frames::{Session, Side};
use super::key::{CODE_BYTES, Code, Key};

/// Names the protocol and the version of the handshake. What else may change is compared afterwards.
const MAGIC: [u8; 16] = *b"walkprint join 1";
pub(super) const HELLO_BYTES: usize = 80;
pub(super) const NONCE_BYTES: usize = 32;

/// Tells one start of a process from the next.
pub(super) type Run = [u8; 16];
type Nonce = [u8; NONCE_BYTES];

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What timely sends.
    Data,
    /// Signs of life and last words.
    Control,
}

/// Who calls whom, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) purpose: Purpose,
    pub(super) caller: u32,
    pub(super) callee: u32,
    pub(super) run: Run,
}

/// Why two processes did not come together on a connection.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection failed, or the other side did not say everything in time.
    Broken(io::Error),
    /// The other side said something else than a hello.
    Stranger,
    /// The other side does not have the key.
    NoKey,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Broken(error) => match error.kind() {
                ErrorKind::UnexpectedEof => formatter.write_str("it closed the connection too early"),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => formatter.write_str("it was too slow"),
                _ => write!(formatter, "{error}"),
            },
            Failure::Stranger => formatter.write_str("it is no walkprint process of this version"),
            Failure::NoKey => formatter.write_str("it does not have the key"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Broken(error)
    }
}

/// Random bytes from the operating system.
pub(super) fn random<const BYTES: usize>() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// The caller's side.
pub(super) fn call(stream: &mut (impl Read + Write), key: &Key, hello: &Hello) -> Result<Session, Failure> {
    let hello = hello.encode(&random()?);
    stream.write_all(&hello)?;
    let mut nonce: Nonce = [0; NONCE_BYTES];
    stream.read_exact(&mut nonce)?;
    stream.write_all(&key.code(&[b"walkprint caller", &hello, &nonce]))?;
    let mut proof: Code = [0; CODE_BYTES];
    stream.read_exact(&mut proof).map_err(|error| match error.kind() {
        // This is what an acceptor does when it was not convinced.
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => Failure::NoKey,
        _ => Failure::Broken(error),
    })?;
    if !key.confirms(&[b"walkprint acceptor", &hello, &nonce], &proof) {
        return Err(Failure::NoKey);
    }
    Ok(session(key, &hello, &nonce, Side::Caller))
}

/// The acceptor's side.
pub(super) fn answer(stream: &mut (impl Read + Write), key: &Key) -> Result<(Hello, Session), Failure> {
    let mut hello = [0; HELLO_BYTES];
    // A stranger is told from his first bytes, not when he has said eighty.
    stream.read_exact(&mut hello[..MAGIC.len()])?;
    if hello[..MAGIC.len()] != MAGIC {
        return Err(Failure::Stranger);
    }
    stream.read_exact(&mut hello[MAGIC.len()..])?;
    let said = Hello::decode(&hello).ok_or(Failure::Stranger)?;
    let nonce: Nonce = random()?;
    stream.write_all(&nonce)?;
    let mut proof: Code = [0; CODE_BYTES];
    stream.read_exact(&mut proof)?;
    if !key.confirms(&[b"walkprint caller", &hello, &nonce], &proof) {
        return Err(Failure::NoKey);
    }
    stream.write_all(&key.code(&[b"walkprint acceptor", &hello, &nonce]))?;
    Ok((said, session(key, &hello, &nonce, Side::Acceptor)))
}

fn session(key: &Key, hello: &[u8; HELLO_BYTES], nonce: &Nonce, side: Side) -> Session {
    Session::new(Key::new(&key.code(&[b"walkprint session", hello, nonce])), side)
}

impl Hello {
    /// magic 16 · purpose 1 · zeros 7 · caller 4 · callee 4 · run 16 · nonce 32
    fn encode(&self, nonce: &Nonce) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[..16].copy_from_slice(&MAGIC);
        bytes[16] = match self.purpose {
            Purpose::Data => 0,
            Purpose::Control => 1,
        };
        bytes[24..28].copy_from_slice(&self.caller.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.callee.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.run);
        bytes[48..].copy_from_slice(nonce);
        bytes
    }

    fn decode(bytes: &[u8; HELLO_BYTES]) -> Option<Hello> {
        let purpose = match bytes[16] {
            0 => Purpose::Data,
            1 => Purpose::Control,
            _ => return None,
        };
        if bytes[..16] != MAGIC || bytes[17..24] != [0; 7] {
            return None;
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut run = [0; 16];
        run.copy_from_slice(&bytes[32..48]);
        Some(Hello { purpose, caller: number(24), callee: number(28), run })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    const HELLO: Hello = Hello { purpose: Purpose::Control, caller: 3, callee: 1, run: [7; 16] };

    fn key() -> Key {
        Key::new(b"the key of the tests")
    }

    /// A pair of connected streams on which nobody waits for long.
    fn pair() -> (UnixStream, UnixStream) {
        let (one, other) = UnixStream::pair().unwrap();
        for stream in [&one, &other] {
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        }
        (one, other)
    }

    /// Copies what it reads, and everything that is written, to lists.
    struct Recorded<S> {
        stream: S,
        written: Vec<u8>,
    }

    impl<S: Read> Read for Recorded<S> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.stream.read(buffer)
        }
    }

    impl<S: Write> Write for Recorded<S> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.stream.write(bytes)?;
            self.written.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.stream.flush()
        }
    }

    /// Lets a caller and an acceptor meet; gives what each made of it, and what the caller said.
    #[expect(clippy::type_complexity, reason = "what both sides made of it")]
    fn meet(caller: Key, acceptor: Key) -> (Result<Session, Failure>, Result<(Hello, Session), Failure>, Vec<u8>) {
        let (one, mut other) = pair();
        let accepting = std::thread::spawn(move || answer(&mut other, &acceptor));
        let mut recorded = Recorded { stream: one, written: Vec::new() };
        let called = call(&mut recorded, &caller, &HELLO);
        (called, accepting.join().unwrap(), recorded.written)
    }

    /// What an acceptor makes of these bytes after which nothing follows, and what it says.
    fn offered(bytes: &[u8]) -> (Result<(Hello, Session), Failure>, Vec<u8>) {
        let (mut one, mut other) = pair();
        one.write_all(bytes).unwrap();
        one.shutdown(std::net::Shutdown::Write).unwrap();
        let answered = answer(&mut other, &key());
        drop(other);
        let mut said = Vec::new();
        let _ = one.read_to_end(&mut said); // a reset is as good as an end
        (answered, said)
    }

    #[test]
    fn who_has_the_key_comes_in() {
        let (called, answered, said) = meet(key(), key());
        let (hello, session) = answered.unwrap();
        assert_eq!(hello, HELLO);
        assert_eq!(said.len(), HELLO_BYTES + CODE_BYTES);
        // What one side seals the other opens, in both directions.
        let (one, other) = pair();
        let mine = called.unwrap();
        mine.writer(one.try_clone().unwrap()).send(b"from the caller").unwrap();
        session.writer(other.try_clone().unwrap()).send(b"from the acceptor").unwrap();
        assert_eq!(session.reader(other).receive().unwrap(), b"from the caller");
        assert_eq!(mine.reader(one).receive().unwrap(), b"from the acceptor");
    }

    #[test]
    fn another_key_is_refused_by_both() {
        let (called, answered, _) = meet(key(), Key::new(b"another key of 20 b."));
        assert!(matches!(called, Err(Failure::NoKey)) && matches!(answered, Err(Failure::NoKey)));
    }

    #[test]
    fn an_acceptor_without_the_key_is_found_out() {
        // It echoes, it sends zeros, it says nothing more.
        for lie in 0..3 {
            let (mut one, mut other) = pair();
            let lying = std::thread::spawn(move || {
                let mut hello = [0; HELLO_BYTES];
                other.read_exact(&mut hello).unwrap();
                other.write_all(&hello[48..]).unwrap();
                let mut proof = [0; CODE_BYTES];
                other.read_exact(&mut proof).unwrap();
                match lie {
                    0 => other.write_all(&proof).unwrap(),
                    1 => other.write_all(&[0; CODE_BYTES]).unwrap(),
                    _ => drop(other),
                }
            });
            assert!(matches!(call(&mut one, &key(), &HELLO), Err(Failure::NoKey)), "{lie}");
            lying.join().unwrap();
        }
    }

    #[test]
    fn a_recorded_handshake_opens_nothing() {
        let (called, answered, said) = meet(key(), key());
        assert!(called.is_ok() && answered.is_ok());
        let (answered, told) = offered(&said);
        assert!(matches!(answered, Err(Failure::NoKey)));
        assert_eq!(told.len(), NONCE_BYTES, "a stranger gets a nonce and nothing else");
    }

    #[test]
    fn every_truncation_is_refused() {
        let (_, _, said) = meet(key(), key());
        for length in 0..said.len() {
            let (answered, told) = offered(&said[..length]);
            assert!(matches!(answered, Err(Failure::Broken(_))), "{length}");
            assert_eq!(told.len(), if length < HELLO_BYTES { 0 } else { NONCE_BYTES }, "{length}");
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        // The proof must be over this very meeting, so the flip happens on the way.
        for bit in 0..8 * (HELLO_BYTES + CODE_BYTES) {
            let (mut one, mut middle) = pair();
            let (mut beyond, mut other) = pair();
            let accepting = std::thread::spawn(move || answer(&mut other, &key()).map(|_| ()));
            let flipping = std::thread::spawn(move || {
                let mut at = 0;
                for (length, back) in [(HELLO_BYTES, NONCE_BYTES), (CODE_BYTES, CODE_BYTES)] {
                    let mut bytes = vec![0; length];
                    middle.read_exact(&mut bytes)?;
                    if (8 * at..8 * (at + length)).contains(&bit) {
                        bytes[bit / 8 - at] ^= 1 << (bit % 8);
                    }
                    at += length;
                    beyond.write_all(&bytes)?;
                    let mut bytes = vec![0; back];
                    beyond.read_exact(&mut bytes)?;
                    middle.write_all(&bytes)?;
                }
                io::Result::Ok(())
            });
            assert!(call(&mut one, &key(), &HELLO).is_err(), "{bit}");
            assert!(matches!(accepting.join().unwrap(), Err(Failure::Stranger | Failure::NoKey)), "{bit}");
            assert!(flipping.join().unwrap().is_err(), "{bit}");
        }
    }

    #[test]
    fn garbage_is_no_hello() {
        for garbage in
            [&b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"[..], &[0; 200], &[0xff; 200], b"walkprint join 2"]
        {
            let (answered, told) = offered(garbage);
            assert!(matches!(answered, Err(Failure::Stranger)) && told.is_empty(), "{garbage:?}");
        }
    }
}
