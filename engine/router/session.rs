//! One connection of a peer: frames in, durable, answers out in order.
//!
//! The reader takes the next frame while earlier ones wait for their fsync; the writer sends the
//! answers in the order of the frames, each in one write. Between them stands a bounded queue: a
//! client that never reads its answers stops its own reading, nobody else's.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hl7::header::{self, Header};
use hl7::mllp::{Decoded, FrameDecoder, FrameLimits, Pause};
use hl7::several::{Counts, Several, several};
use hl7::tolerance::Deviation;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use crate::accept::{self, Decision, Refusal};
use crate::answers::{self, ANSWERS, Answer, Failed};
use crate::budget::Charge;
use crate::config::listener::CommitByte;
use crate::event::Event;
use crate::intake::Intake;
use crate::plan::ListenerPlan;
use crate::port::Port;
use crate::secured::{self, Incoming};
use crate::taking::Arrival;

/// What a connection may buffer without a charge on the budget.
const ALLOWANCE: usize = 64 * 1024;
/// One read from the socket.
const READ: usize = 16 * 1024;
/// How long the CR behind FS may be late before FS alone ends the frame.
const PAUSE: Duration = Duration::from_millis(200);
/// How long nothing may follow a segment before that ends the frame of a peer that leaves out FS.
const LONG_PAUSE: Duration = Duration::from_secs(2);
/// How long a peer may be silent in the middle of a frame.
const MID_FRAME: Duration = Duration::from_secs(30);
/// How much of an oversize frame is kept.
const KEEP_OVERSIZE: usize = 64 * 1024;
/// How long intake may be closed before a waiting connection is closed without an answer.
const GRACE: Duration = Duration::from_secs(30);
/// How often a connection that is not read is looked at: its peer may have gone.
const LOOK: Duration = Duration::from_secs(1);
/// How long a connection that we end waits for its peer to have read the last answers.
const LINGER: Duration = Duration::from_secs(1);

/// Why a connection ended; a word for the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Peer,
    HalfFrame,
    Idle,
    Stopping,
    NotStored,
    Write,
    Handshake,
    Error,
}

impl Ended {
    fn word(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::HalfFrame => "half-frame",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
            Self::NotStored => "not-stored",
            Self::Write => "write",
            Self::Handshake => "handshake",
            Self::Error => "error",
        }
    }
}

impl From<Failed> for Ended {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NotStored => Self::NotStored,
            Failed::Write => Self::Write,
        }
    }
}

/// Serves one connection until it ends.
pub async fn serve(stream: TcpStream, peer: SocketAddr, port: Arc<Port>, intake: Arc<Intake>) {
    let name = port.plan().name.clone();
    Event::Connected { listener: &name, peer }.emit();
    // ACKs are small and awaited: never hold one back.
    let why = match (stream.set_nodelay(true), port.tls()) {
        (Err(_), _) => Ended::Error,
        (Ok(()), None) => {
            let (read, write) = stream.into_split();
            converse(read, write, peer, port, intake).await
        }
        (Ok(()), Some(tls)) => match secured::shake_hands(&tls, stream, &port).await {
            Ok((read, write)) => converse(read, write, peer, port, intake).await,
            Err(why) => {
                Event::HandshakeFailed { listener: &name, peer, why }.emit();
                Ended::Handshake
            }
        },
    };
    Event::Disconnected { listener: &name, peer, why: why.word() }.emit();
}

/// Frames in, answers out, until either side has had enough.
async fn converse(
    read: impl Incoming,
    mut write: impl AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    port: Arc<Port>,
    intake: Arc<Intake>,
) -> Ended {
    let (answers, queue) = mpsc::channel(ANSWERS);
    let answered = port.clone();
    let writing = tokio::spawn(async move {
        let ended = answers::write(&mut write, queue, answered).await;
        // Says that no more will come, in TLS as in TCP; a peer that takes nothing is not waited for.
        drop(timeout(LINGER, write.shutdown()).await);
        ended
    });
    let limits = FrameLimits {
        max_frame: port.plan().max_frame,
        keep_oversize: KEEP_OVERSIZE,
        open_end: port.plan().open_end,
    };
    let mut reader = Reader {
        stream: read,
        peer,
        plans: port.plans(),
        paused: intake.paused(),
        port,
        intake,
        decoder: FrameDecoder::new(limits),
        charge: Charge::default(),
        frame_since: None,
        last: false,
        answers,
    };
    let Err(read) = reader.run().await;
    let Reader { stream, answers, .. } = reader;
    // With the reader's end of the queue gone, the writer sends what is due and closes.
    drop(answers);
    let why = match writing.await {
        Ok(Ok(())) => read,
        Ok(Err(failed)) => failed.into(),
        Err(_) => Ended::Error,
    };
    if why == Ended::Stopping {
        linger(stream).await;
    }
    why
}

/// Reads on for a moment and throws away: a socket that is closed with bytes unread is reset, and
/// that would take answers from the peer which it has not read yet.
async fn linger(mut stream: impl AsyncRead + Unpin) {
    let mut chunk = vec![0; READ];
    let gone = async { while stream.read(&mut chunk).await.is_ok_and(|count| count > 0) {} };
    drop(timeout(LINGER, gone).await);
}

/// What there is to read, into the decoder; 0 is the end. The chunk lives on the stack of one poll, so
/// that two thousand idle connections hold none.
async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    decoder: &mut FrameDecoder,
) -> io::Result<usize> {
    poll_fn(|context| {
        let mut chunk = [MaybeUninit::uninit(); READ];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        match ready!(Pin::new(&mut *stream).poll_read(context, &mut chunk)) {
            // Many end TLS by closing the connection: whether a frame was cut shows in the frame.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) => {
                decoder.push(chunk.filled());
                Poll::Ready(Ok(chunk.filled().len()))
            }
        }
    })
    .await
}

pub(crate) struct Reader<S> {
    stream: S,
    pub(crate) peer: SocketAddr,
    pub(crate) port: Arc<Port>,
    /// News of the port's settings and channels.
    plans: watch::Receiver<Arc<ListenerPlan>>,
    /// News of paused channels.
    paused: watch::Receiver<BTreeSet<String>>,
    pub(crate) intake: Arc<Intake>,
    decoder: FrameDecoder,
    pub(crate) charge: Charge,
    /// When the frame in the making began.
    frame_since: Option<Instant>,
    /// The port takes no more: the frame in the making is the last.
    last: bool,
    pub(crate) answers: mpsc::Sender<Answer>,
}

impl<S: Incoming> Reader<S> {
    /// Until the connection ends, which is the only way out.
    async fn run(&mut self) -> Result<Infallible, Ended> {
        loop {
            while let Some(decoded) = self.decoder.next_frame() {
                self.frame_since = None;
                let ended = self.last && !matches!(decoded, Decoded::Junk { .. });
                self.decoded(decoded).await?;
                if ended {
                    return Err(Ended::Stopping);
                }
            }
            self.charge_buffered().await?;
            if !self.decoder.in_frame() {
                self.while_all_are_paused().await?;
            }
            // A peer that leaves out the CR behind FS now waits: only the pause tells.
            let pause = self.decoder.pause();
            let limit = self.silence_allowed(pause);
            let read = tokio::select! {
                () = self.port.cut.cancelled() => return Err(Ended::Stopping),
                () = self.port.stop.cancelled(), if !self.last => {
                    if !self.decoder.in_frame() {
                        return Err(Ended::Stopping);
                    }
                    self.last = true;
                    continue;
                }
                () = self.answers.closed() => return Err(Ended::Write),
                read = timeout(limit, read(&mut self.stream, &mut self.decoder)) => read,
            };
            match read {
                Err(_) if pause != Pause::Nothing => {
                    self.decoder.end_by_pause();
                }
                Err(_) if self.decoder.in_frame() => return Err(Ended::HalfFrame),
                Err(_) => return Err(Ended::Idle),
                Ok(Ok(0)) if self.decoder.in_frame() => return Err(Ended::HalfFrame),
                Ok(Ok(0)) => return Err(Ended::Peer),
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Err(Ended::Error),
            }
        }
    }

    /// While nobody behind this port may take anything, nothing is read: TCP tells the sender.
    async fn while_all_are_paused(&mut self) -> Result<(), Ended> {
        loop {
            {
                let (paused, plan) =
                    (self.paused.borrow_and_update(), self.plans.borrow_and_update());
                let open = plan.channels.iter().any(|channel| !paused.contains(&channel.name));
                if open || plan.channels.is_empty() {
                    return Ok(());
                }
            }
            self.until_told().await?;
        }
    }

    /// Until a channel is paused or resumed or the port's channels change, unless the connection has
    /// to end meanwhile. What the peer sends stays unread, and so does its end: that is looked for.
    async fn until_told(&mut self) -> Result<(), Ended> {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = self.port.stop.cancelled() => return Err(Ended::Stopping),
                () = self.answers.closed() => return Err(Ended::Write),
                _ = self.paused.changed() => return Ok(()),
                _ = self.plans.changed() => return Ok(()),
                _ = look.tick() => {
                    if self.stream.has_ended() {
                        return Err(Ended::Peer);
                    }
                }
            }
        }
    }

    /// What a frame in the making holds above the allowance is charged, and given back when it is
    /// held no more.
    async fn charge_buffered(&mut self) -> Result<(), Ended> {
        let above = self.decoder.buffered().saturating_sub(ALLOWANCE);
        if above == 0 {
            drop(self.charge.take());
            return Ok(());
        }
        self.raise(above).await
    }

    /// Waits for room in the budget, unless the connection has to end meanwhile.
    async fn raise(&mut self, bytes: usize) -> Result<(), Ended> {
        tokio::select! {
            () = self.port.cut.cancelled() => Err(Ended::Stopping),
            () = self.answers.closed() => Err(Ended::Write),
            () = self.intake.budget.raise(&mut self.charge, bytes) => Ok(()),
        }
    }

    /// How long the peer may say nothing. Within a frame that is shorter, and a frame as a whole has
    /// the idle time to end: a stalled peer holds memory that others wait for.
    fn silence_allowed(&mut self, pause: Pause) -> Duration {
        match pause {
            Pause::Ended => return PAUSE,
            Pause::MayHaveEnded => return LONG_PAUSE,
            Pause::Nothing => {}
        }
        if !self.decoder.in_frame() {
            self.frame_since = None;
            return self.port.plan().idle;
        }
        let since = *self.frame_since.get_or_insert_with(Instant::now);
        let left = self.port.plan().idle.saturating_sub(since.elapsed());
        left.min(MID_FRAME)
    }

    async fn decoded(&mut self, decoded: Decoded) -> Result<(), Ended> {
        match decoded {
            Decoded::Frame(frame) => match several(&frame) {
                None => self.frame(frame, false).await,
                Some(found) => self.several(frame, found).await,
            },
            Decoded::Oversize { head, size } => {
                let refusal = Refusal::OVERSIZE;
                let answer = match Header::from_frame(&head) {
                    Ok(header) => self.refusal(&header, &refusal, None, None),
                    Err(_) => self.unreadable(&head, &refusal),
                };
                self.refuse(head, size, &refusal, answer).await
            }
            Decoded::Junk { bytes } => {
                Event::Junk { listener: &self.port.plan().name, bytes }.emit();
                Ok(())
            }
        }
    }

    /// Several messages, or a batch: each is stored, answered and counted on its own. Where their
    /// source may not send such, they are one frame like any other: a batch is refused, the rest
    /// is kept as one message and parks.
    async fn several(&mut self, frame: Bytes, found: Several) -> Result<(), Ended> {
        if !self.may_come_together(&found) {
            return self.frame(frame, false).await;
        }
        let miscounted = found.counts == Counts::Wrong;
        if miscounted {
            let (plan, messages) = (self.port.plan(), found.messages.len());
            Event::BatchCount { listener: &plan.name, messages }.emit();
        }
        // The frame stays in memory until its last message is on its way.
        let held = self.charge.take();
        for message in found.messages {
            self.frame(message, miscounted).await?;
        }
        drop(held);
        Ok(())
    }

    /// Whether the source of the first message may send several. One that is refused has none, and
    /// each of its messages is told so.
    fn may_come_together(&mut self, found: &Several) -> bool {
        let what = if found.batch { Deviation::Batch } else { Deviation::SeveralMessages };
        let listener = self.plans.borrow_and_update().clone();
        let first = found.messages.first().and_then(|first| Header::from_frame(first).ok());
        let decision = first.as_ref().map(|header| accept::decide(header, &listener.channels));
        !matches!(decision, Some(Decision::Accept(channel)) if !channel.source.tolerates(what))
    }

    /// One message; `miscounted` if the batch that it came in has other counts than it says.
    async fn frame(&mut self, frame: Bytes, miscounted: bool) -> Result<(), Ended> {
        let since = Instant::now();
        if header::is_acknowledgement(&frame) {
            // Release 2 of MLLP acknowledges our acknowledgements by a byte, too.
            let byte = frame.len() == 1 && self.port.plan().commit_byte != CommitByte::Never;
            if byte {
                return Ok(());
            }
            Event::StrayAcknowledgement { listener: &self.port.plan().name }.emit();
            drop(self.charge.take());
            return Ok(());
        }
        let Ok(header) = Header::from_frame(&frame) else {
            let refusal = Refusal::UNREADABLE;
            let answer = self.unreadable(&frame, &refusal);
            let size = frame.len() as u64;
            return self.refuse(frame, size, &refusal, answer).await;
        };
        loop {
            // The rules of this moment, which a reload may change while the frame waits.
            let listener = self.plans.borrow_and_update().clone();
            let (channel, refused) = match accept::decide(&header, &listener.channels) {
                Decision::Accept(channel) => (channel, false),
                Decision::Refuse(refusal, nearest) => {
                    let kept = nearest.filter(|kept| self.wears_out(kept, &refusal, &frame));
                    let Some(kept) = kept else {
                        let nearest = nearest.map(Arc::as_ref);
                        let answer = self.refusal(&header, &refusal, nearest, None);
                        let size = frame.len() as u64;
                        return self.refuse(frame, size, &refusal, answer).await;
                    };
                    (kept, true)
                }
            };
            if self.paused.borrow_and_update().contains(&channel.name) {
                self.until_told().await?;
                continue;
            }
            let peer = self.peer;
            let (frame, header) = (&frame, &header);
            let arrival = Arrival { peer, frame, header, channel, refused, miscounted, since };
            return self.accept(arrival).await;
        }
    }

    async fn accept(&mut self, message: Arrival<'_>) -> Result<(), Ended> {
        self.room().await?;
        // One small frame a connection is free, so that a spent budget stops nobody's heartbeat.
        let alone = self.answers.capacity() == ANSWERS;
        let size = message.frame.len();
        if size > ALLOWANCE || !alone {
            self.raise(size).await?;
        }
        match message.take(&self.intake, &self.port, &mut self.charge) {
            Ok(answer) => self.answers.send(answer).await.map_err(|_| Ended::Write),
            Err(expected) => {
                let refusal = Refusal::sequence_number();
                let Arrival { frame, header, channel, .. } = message;
                let answer = self.refusal(header, &refusal, Some(channel), Some(expected));
                self.refuse(frame.clone(), size as u64, &refusal, answer).await
            }
        }
    }

    /// Waits while nothing can be stored; answers nothing and closes when that lasts.
    async fn room(&mut self) -> Result<(), Ended> {
        let mut open = self.intake.journal.intake_open();
        if *open.borrow_and_update() {
            return Ok(());
        }
        let waited = tokio::select! {
            () = self.port.stop.cancelled() => return Err(Ended::Stopping),
            waited = timeout(GRACE, open.wait_for(|open| *open)) => waited,
        };
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ended::NotStored),
        }
    }
}
