//! `tieline listen`: an MLLP receiver for testing what others send, and what we send others.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use hl7::acknowledgement::{self, AckCode, Outcome, Stamp};
use hl7::due::due;
use hl7::header::Header;
use hl7::message::{Message, Reading};
use hl7::mllp::{Decoded, FrameDecoder, FrameLimits, encode_frame};
use jiff::Timestamp;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::arguments::{AnswerCode, Format, ListenArgs};
use crate::exit::Exit;
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
}

/// A message that was received and answered.
struct Received {
    peer: String,
    frame: Bytes,
    header: Option<Header>,
    answer: Option<AckCode>,
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
    mut stream: TcpStream,
    peer: String,
    shared: &Shared,
    sender: &mpsc::Sender<Received>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let limits = FrameLimits { max_frame: LONGEST, ..FrameLimits::default() };
    let mut decoder = FrameDecoder::new(limits);
    let mut input = BytesMut::with_capacity(64 * 1024);
    while stream.read_buf(&mut input).await? > 0 {
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
            let (header, answer, bytes) = respond(&frame, shared.answer, number + 1);
            if let Some(bytes) = bytes {
                // One write: some senders read an answer in one piece or not at all.
                stream.write_all(&encode_frame(&bytes)).await?;
            }
            let received = Received { peer: peer.clone(), frame, header, answer };
            if sender.send(received).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The answer to a frame: as asked on the command line, else as the message asks.
fn respond(
    frame: &[u8],
    wanted: Option<AnswerCode>,
    number: u64,
) -> (Option<Header>, Option<AckCode>, Option<Vec<u8>>) {
    let control_id = format!("LISTEN{number}");
    let time = Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
    let stamp = Stamp { control_id, time, application: None, facility: None };
    let Ok(header) = Header::from_frame(frame) else {
        let refusal = acknowledgement::refuse_unreadable(frame, "MSH cannot be read", &stamp);
        return (None, Some(AckCode::AR), Some(refusal));
    };
    // Two peers that acknowledge each other's acknowledgements never stop.
    if header.is_acknowledgement() {
        return (Some(header), None, None);
    }
    let code = match wanted {
        Some(code) => Some(code.into()),
        None => due(&header, Outcome::Accept),
    };
    let bytes = code.map(|code| acknowledgement::acknowledge(&header, code, None, None, &stamp));
    (Some(header), code, bytes)
}

fn show(output: &mut Output, args: &ListenArgs, received: &Received) -> Result<()> {
    let (kind, control_id) = match &received.header {
        Some(header) => (header.message_type(), header.control_id_text()),
        None => ("unreadable".to_owned(), "-".to_owned()),
    };
    let answer = received.answer.map(AckCode::as_str);
    if args.format == Format::Text {
        output.line(format_args!(
            "{:<10} {:<22} {:>8} bytes  from {}  answered {}",
            printable(&kind),
            printable(&control_id),
            received.frame.len(),
            received.peer,
            answer.unwrap_or("nothing"),
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
