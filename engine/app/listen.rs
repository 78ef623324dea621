//! `tieline listen`: an MLLP receiver for testing what others send, and what we send others.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use hl7::acknowledgement::{self, AckCode, Outcome, Stamp};
use hl7::due::due;
use hl7::header::Header;
use hl7::message::{Message, Reading};
use hl7::mllp::{Decoded, FrameDecoder, FrameLimits};
use jiff::Timestamp;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::arguments::{AnswerCode, Format, ListenArgs};
use crate::bad_content;
use crate::connection::{Connection, acceptor};
use crate::exit::Exit;
use crate::misbehaviour::{Manners, Misbehaviour};
use crate::outgoing::{Ending, Outgoing};
use crate::output::Output;
use crate::table::printable;

/// The longest message that is taken.
const LONGEST: usize = 32 * 1024 * 1024;

/// How long the listener rests when it cannot accept, e.g. for want of file descriptors.
const AFTER_A_FAILED_ACCEPT: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &ListenArgs) -> Result<Exit> {
    Runtime::new()?.block_on(listen(args))
}

async fn listen(args: &ListenArgs) -> Result<Exit> {
    let listener = TcpListener::bind(&args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    writeln!(io::stderr(), "listening on {}", listener.local_addr()?)?;

    let shared = Arc::new(Shared {
        answer: args.answer,
        at_most: args.count.unwrap_or(u64::MAX),
        taken: AtomicU64::new(0),
        tls: acceptor(&args.tls)?,
        manners: Manners::new(&args.manners.misbehave, args.manners.seed)?,
        late: args.manners.late,
        before: Mutex::default(),
    });
    let (sender, mut received) = mpsc::channel(64);
    tokio::spawn(accept(listener, Arc::clone(&shared), sender));

    let mut output = Output::standard();
    for _ in 0..shared.at_most {
        let Some(received) = received.recv().await else { break };
        show(&mut output, args, &received)?;
    }
    Ok(Exit::Well)
}

/// What all connections share.
struct Shared {
    answer: Option<AnswerCode>,
    at_most: u64,
    taken: AtomicU64,
    tls: Option<TlsAcceptor>,
    manners: Manners,
    late: Duration,
    /// The control id of the message before, on whichever connection.
    before: Mutex<Vec<u8>>,
}

/// A message that was received and answered.
struct Received {
    peer: String,
    frame: Bytes,
    header: Option<Header>,
    answer: Option<AckCode>,
    misbehaviour: Option<Misbehaviour>,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, sender: mpsc::Sender<Received>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (shared, sender) = (Arc::clone(&shared), sender.clone());
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, peer.to_string(), &shared, &sender).await {
                        tracing::warn!(%peer, "connection lost: {error}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(AFTER_A_FAILED_ACCEPT).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    peer: String,
    shared: &Shared,
    sender: &mpsc::Sender<Received>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream: Box<dyn Connection> = match &shared.tls {
        Some(tls) => Box::new(TlsStream::from(tls.accept(stream).await?)),
        None => Box::new(stream),
    };
    let limits = FrameLimits { max_frame: LONGEST, ..FrameLimits::default() };
    let mut decoder = FrameDecoder::new(limits);
    let mut input = BytesMut::with_capacity(64 * 1024);
    let mut late: VecDeque<(Instant, Reply)> = VecDeque::new();
    loop {
        let due = late.front().map(|(due, _)| *due);
        tokio::select! {
            read = stream.read_buf(&mut input) => match read {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // Many end TLS by closing the connection.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if let Some((_, reply)) = late.pop_front()
                    && reply.give(&mut *stream, sender).await?.is_break()
                {
                    return Ok(());
                }
            }
        }
        decoder.push(&input);
        input.clear();
        while let Some(decoded) = decoder.next_frame() {
            let frame = match decoded {
                Decoded::Frame(frame) => frame,
                Decoded::Oversize { size, .. } => {
                    tracing::warn!(%peer, size, "message skipped: over the limit of 32 MiB");
                    continue;
                }
                Decoded::Junk { bytes } => {
                    tracing::warn!(%peer, bytes, "bytes outside any frame skipped");
                    continue;
                }
            };
            let number = shared.taken.fetch_add(1, Ordering::Relaxed);
            if number >= shared.at_most {
                return Ok(());
            }
            let reply = shared.reply(frame, peer.clone(), number);
            if reply.received.misbehaviour == Some(Misbehaviour::LateAck) {
                late.push_back((Instant::now() + shared.late, reply));
            } else if reply.give(&mut *stream, sender).await?.is_break() {
                return Ok(());
            }
        }
    }
}

/// What is said to a message, and what is told of it.
struct Reply {
    outgoing: Outgoing,
    received: Received,
}

impl Reply {
    /// Answers, then tells; breaks when the connection has to end.
    async fn give(
        mut self,
        stream: &mut dyn Connection,
        sender: &mpsc::Sender<Received>,
    ) -> io::Result<ControlFlow<()>> {
        while !self.outgoing.is_empty() {
            let written = stream.write(self.outgoing.next()).await?;
            self.outgoing.written(written);
            stream.flush().await?;
        }
        let ending = self.outgoing.ending();
        if ending == Some(Ending::Reset) {
            stream.socket().set_zero_linger()?;
        }
        let unheard = sender.send(self.received).await.is_err();
        let ends = unheard || ending.is_some();
        Ok(if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

impl Shared {
    /// The answer to a frame: as asked on the command line, else as the message asks; then what the
    /// manners make of it.
    fn reply(&self, frame: Bytes, peer: String, number: u64) -> Reply {
        let misbehaviour = self.manners.of(number);
        let (header, answer, bytes) = self.respond(&frame, number, misbehaviour);
        let mut outgoing = Outgoing::default();
        let bytes = bytes.filter(|_| misbehaviour != Some(Misbehaviour::NoAck));
        let answer = answer.filter(|_| bytes.is_some());
        match (misbehaviour, bytes) {
            (Some(Misbehaviour::Reset), _) => outgoing.reset(),
            (_, None) => {}
            // One write: some senders read an answer in one piece or not at all.
            (Some(Misbehaviour::TwoFrames), Some(bytes)) => {
                outgoing.add(&bytes, None);
                outgoing.add(&bytes, None);
            }
            (manner, Some(bytes)) => outgoing.add(&bytes, manner),
        }
        Reply { outgoing, received: Received { peer, frame, header, answer, misbehaviour } }
    }

    fn respond(
        &self,
        frame: &[u8],
        number: u64,
        misbehaviour: Option<Misbehaviour>,
    ) -> (Option<Header>, Option<AckCode>, Option<Bytes>) {
        let is = |kind| misbehaviour == Some(kind);
        let own = if is(Misbehaviour::DuplicateControlId) { 1 } else { number + 1 };
        let control_id = format!("LISTEN{own}");
        let time = Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
        let stamp = Stamp { control_id, time, application: None, facility: None };
        let Ok(header) = Header::from_frame(frame) else {
            let refusal = acknowledgement::refuse_unreadable(frame, "MSH cannot be read", &stamp);
            return (None, Some(AckCode::AR), Some(refusal.into()));
        };
        // Two peers that acknowledge each other's acknowledgements never stop.
        if header.is_acknowledgement() {
            return (Some(header), None, None);
        }
        let code = match self.answer {
            Some(code) => Some(code.into()),
            None => due(&header, Outcome::Accept),
        };
        let before = self.follow(&header.control_id);
        let bytes = code.map(|code| {
            let mut named = header.clone();
            if is(Misbehaviour::WrongControlId) {
                named.control_id = before;
            }
            let answer = acknowledgement::acknowledge(&named, code, None, None, &stamp).into();
            match misbehaviour {
                Some(Misbehaviour::ClockSkew) => {
                    bad_content::skewed(&answer, &mut self.manners.random(number))
                }
                Some(Misbehaviour::WrongCharset) => bad_content::in_wrong_charset(&answer),
                _ => answer,
            }
        });
        (Some(header), code, bytes)
    }

    /// Remembers the control id of this message; gives back that of another one before it.
    fn follow(&self, control_id: &[u8]) -> Vec<u8> {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let other = std::mem::replace(&mut *before, control_id.to_vec());
        if other.is_empty() || other == control_id { b"ANOTHER".to_vec() } else { other }
    }
}

fn show(output: &mut Output, args: &ListenArgs, received: &Received) -> Result<()> {
    let (kind, control_id) = match &received.header {
        Some(header) => (header.message_type(), header.control_id_text()),
        None => ("unreadable".to_owned(), "-".to_owned()),
    };
    let answer = received.answer.map(AckCode::as_str);
    let misbehaviour = received.misbehaviour.map(Misbehaviour::name);
    if args.format == Format::Text {
        output.line(format_args!(
            "{:<10} {:<22} {:>8} bytes  from {}  answered {}{}{}",
            printable(&kind),
            printable(&control_id),
            received.frame.len(),
            received.peer,
            answer.unwrap_or("nothing"),
            if misbehaviour.is_some() { ": " } else { "" },
            misbehaviour.unwrap_or_default(),
        ))?;
        if args.raw {
            let text = decoded(&received.frame).replace("\r\n", "\n").replace('\r', "\n");
            output.line(text)?;
        }
    } else {
        let mut document = json!({
            "received": Timestamp::now().to_string(),
            "peer": received.peer,
            "type": kind,
            "control_id": control_id,
            "bytes": received.frame.len(),
            "answer": answer,
            "misbehaviour": misbehaviour,
        });
        if args.raw {
            document["message"] = decoded(&received.frame).into();
        }
        output.document(args.format, &document)?;
    }
    Ok(())
}

/// The text of a message in its own character set.
fn decoded(frame: &Bytes) -> String {
    match Message::parse(frame.clone(), &Reading::default()) {
        Ok(message) => message.charset().decode(frame).text.into_owned(),
        Err(_) => String::from_utf8_lossy(frame).into_owned(),
    }
}

impl From<AnswerCode> for AckCode {
    fn from(code: AnswerCode) -> Self {
        match code {
            AnswerCode::Aa => Self::AA,
            AnswerCode::Ae => Self::AE,
            AnswerCode::Ar => Self::AR,
            AnswerCode::Ca => Self::CA,
            AnswerCode::Ce => Self::CE,
            AnswerCode::Cr => Self::CR,
        }
    }
}
