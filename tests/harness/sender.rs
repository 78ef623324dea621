//! A legacy system: opens a socket, sends MLLP frames, reads what comes back. Knows nothing of our
//! own codec, so that the two cannot be wrong together.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::SOON;

const VT: u8 = 0x0b;
const FS: u8 = 0x1c;
const CR: u8 = 0x0d;

#[derive(Debug)]
pub(crate) struct TestSender {
    socket: TcpStream,
    received: Vec<u8>,
}

/// What came back within the time given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Ack(Ack),
    /// The engine closed the connection.
    Closed,
    /// The connection is open and nothing came.
    Silence,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    /// MSA-1, e.g. `AA`.
    pub(crate) code: String,
    /// MSA-2: which message is answered.
    pub(crate) control_id: String,
    /// The whole frame's content.
    pub(crate) raw: Vec<u8>,
}

impl TestSender {
    pub(crate) fn connect(address: &str) -> Self {
        Self::try_connect(address)
            .unwrap_or_else(|error| panic!("connecting to {address}: {error}"))
    }

    /// For a story in which the engine may be away.
    pub(crate) fn try_connect(address: &str) -> std::io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(SOON))?;
        Ok(Self { socket, received: Vec::new() })
    }

    /// One frame; many may be sent before the first answer is read.
    pub(crate) fn send(&mut self, message: impl AsRef<[u8]>) {
        let mut frame = vec![VT];
        frame.extend_from_slice(message.as_ref());
        frame.extend([FS, CR]);
        self.send_bytes(&frame).expect("the engine reads");
    }

    /// Bytes as they are: half frames, junk, floods. The engine may have closed: that is an answer.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Sends and waits for the answer.
    pub(crate) fn ask(&mut self, message: impl AsRef<[u8]>) -> Ack {
        self.send(message);
        self.ack()
    }

    /// The next answer, in the order of arrival.
    pub(crate) fn ack(&mut self) -> Ack {
        match self.reply(SOON) {
            Reply::Ack(ack) => ack,
            other => panic!("wanted an acknowledgement, got {other:?}"),
        }
    }

    pub(crate) fn reply(&mut self, within: Duration) -> Reply {
        self.frame(within).map_or_else(|none| none, |frame| Reply::Ack(Ack::read(frame)))
    }

    /// The content of the next frame, or why there is none.
    pub(crate) fn frame(&mut self, within: Duration) -> Result<Vec<u8>, Reply> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(frame) = self.take_frame() {
                return Ok(frame);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Reply::Silence);
            }
            self.socket.set_read_timeout(Some(left)).expect("an open socket");
            let mut chunk = [0; 4096];
            match self.socket.read(&mut chunk) {
                Ok(0) => return Err(Reply::Closed),
                Ok(length) => self.received.extend_from_slice(&chunk[..length]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Reply::Silence),
                    ErrorKind::Interrupted => {}
                    _ => return Err(Reply::Closed),
                },
            }
        }
    }

    /// No more will be sent; answers can still be read.
    pub(crate) fn finish_sending(&mut self) {
        self.socket.shutdown(Shutdown::Write).expect("an open socket");
    }

    /// Ends this side of the connection, then takes the content of every frame until the engine
    /// closes the other.
    pub(crate) fn rest(&mut self) -> Vec<Vec<u8>> {
        self.finish_sending();
        self.socket.set_read_timeout(Some(SOON)).expect("an open socket");
        self.socket.read_to_end(&mut self.received).expect("the engine closes in good order");
        let frames = std::iter::from_fn(|| self.take_frame()).collect();
        assert!(self.received.is_empty(), "nothing but frames");
        frames
    }

    fn take_frame(&mut self) -> Option<Vec<u8>> {
        let end = self.received.windows(2).position(|pair| pair == [FS, CR])?;
        let mut frame: Vec<u8> = self.received.drain(..end + 2).collect();
        assert_eq!(frame.remove(0), VT, "a frame begins with VT");
        frame.truncate(end - 1);
        Some(frame)
    }
}

impl Ack {
    fn read(raw: Vec<u8>) -> Self {
        let text = String::from_utf8_lossy(&raw);
        let msa = text.split('\r').find(|segment| segment.starts_with("MSA"));
        let msa = msa.unwrap_or_else(|| panic!("no MSA in an answer of {} bytes", raw.len()));
        let mut fields = msa.split('|').map(str::to_owned);
        let code = fields.nth(1).unwrap_or_default();
        let control_id = fields.next().unwrap_or_default();
        Self { code, control_id, raw }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering_with(bytes: &'static [u8]) -> TestSender {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sender = TestSender::connect(&listener.local_addr().unwrap().to_string());
        listener.accept().unwrap().0.write_all(bytes).unwrap();
        sender
    }

    #[test]
    fn answers_come_one_by_one_then_the_end() {
        let mut sender = answering_with(
            b"\x0bMSH|^~\\&|T\rMSA|AA|1\r\x1c\r\x0bMSH|^~\\&|T\rMSA|AR|2|no\r\x1c\r",
        );
        let first = sender.ack();
        assert_eq!((first.code.as_str(), first.control_id.as_str()), ("AA", "1"));
        assert_eq!(first.raw, b"MSH|^~\\&|T\rMSA|AA|1\r");
        assert_eq!(sender.ack().code, "AR");
        assert_eq!(sender.reply(SOON), Reply::Closed);
    }

    #[test]
    fn silence_and_what_was_sent_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TestSender::connect(&listener.local_addr().unwrap().to_string());
        sender.send("MSH|");
        assert_eq!(sender.reply(Duration::from_millis(1)), Reply::Silence);
        sender.finish_sending();
        let mut arrived = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut arrived).unwrap();
        assert_eq!(arrived, b"\x0bMSH|\x1c\r");
    }

    #[test]
    fn the_rest_is_every_frame_until_the_end() {
        let mut sender = answering_with(b"\x0b\x06\x1c\r\x0bMSH|^~\\&|T\rMSA|CA|7\r\x1c\r");
        assert_eq!(sender.rest(), [b"\x06".to_vec(), b"MSH|^~\\&|T\rMSA|CA|7\r".to_vec()]);
    }

    #[test]
    fn a_question_has_its_answer() {
        let mut sender = answering_with(b"\x0bMSH|^~\\&|T\rMSA|CA|7\r\x1c\r");
        assert_eq!(sender.ask("MSH|").control_id, "7");
    }
}
