//! What an operator may hear of: each [`Event`] is one log line and one counter, so they cannot drift apart.
//!
//! No variant has a field that could hold message text: patient data cannot be logged because the
//! type has no room for it. WARN means odd but nothing lost; ERROR means somebody must act.

use std::net::SocketAddr;
use std::path::Path;

use identity::error::IndexError;
use jiff::Timestamp;
use journal::report::Corruption;
use metrics::counter;
use tracing::{debug, error, info, warn};

use crate::alarm::Alarm;
use crate::config::measure::Period;
use crate::seen_log::SeenError;
use crate::tls::Handshake;

/// One thing that happened, told in words and numbers that name no patient.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The engine accepts connections.
    Ready { channels: usize, listeners: usize, took_ms: u64 },
    /// The engine stops on request.
    Stopping { reason: &'a str },
    /// The journal was read at start.
    Recovered { entries: u64, pending: u64, torn: bool, took_ms: u64 },
    /// A part of the journal fails its checksum although it was once durable.
    Corruption { volume: u64, offset: u64, bytes: u64 },
    /// What was accepted cannot be recorded further; it waits for room.
    RecordWaits,
    /// An entry of the journal is damaged; its message is held and not run again.
    OutcomeUnreadable { message: u64 },
    /// The disk answers a read with an error.
    DiskUnreadable { error: &'a std::io::Error },
    /// A part of the engine ended that must not.
    PartEnded { part: &'static str },
    /// Configuration version in force.
    Activated { version: &'a str, last_good: bool },
    /// A listener accepts connections.
    Listening { listener: &'a str, address: SocketAddr },
    /// An address that the configuration no longer names takes no more.
    ListenerClosed { listener: &'a str, address: SocketAddr },
    /// A changed configuration was put in force; the names are those of channels.
    Reloaded { version: &'a str, added: &'a [String], removed: &'a [String], changed: &'a [String] },
    /// Keys of a changed configuration that are in force only after a restart.
    WaitsForRestart { keys: &'a [String] },
    /// A changed configuration cannot be put in force; nothing changed.
    ReloadRefused { why: &'a str },
    /// An operator stopped the intake of a channel.
    IntakePaused { channel: &'a str },
    /// An operator let it go on.
    IntakeResumed { channel: &'a str },
    /// A peer connected.
    Connected { listener: &'a str, peer: SocketAddr },
    /// A connection ended; `why` is one of a closed set of words.
    Disconnected { listener: &'a str, peer: SocketAddr, why: &'static str },
    /// A peer and a TLS listener did not come together; `why` is one of a closed set of words.
    HandshakeFailed { listener: &'a str, peer: SocketAddr, why: Handshake },
    /// A connection was turned away because the listener holds its maximum.
    ConnectionRefused { listener: &'a str, peer: SocketAddr, maximum: usize },
    /// A frame got a negative answer; its bytes are in the ring of refused frames.
    Refused { listener: &'a str, reason: &'static str, tell: bool },
    /// AA left although the message was not yet published: its channel's patience was at an end.
    AnsweredUnpublished { channel: &'a str },
    /// A frame that is itself an acknowledgement; it is not answered.
    StrayAcknowledgement { listener: &'a str },
    /// Bytes outside any frame.
    Junk { listener: &'a str, bytes: usize },
    /// A batch says that it has other numbers of messages or batches than it has.
    BatchCount { listener: &'a str, messages: usize },
    /// Nothing can be stored: intake waits, nothing is answered.
    IntakeClosed,
    /// Intake goes on.
    IntakeOpen,
    /// A message was parked; somebody must look at it.
    Parked { channel: &'a str, message: u64, reason: &'a str },
    /// A message is a copy of an earlier one: acknowledged, counted, not processed.
    Duplicate { channel: &'a str, message: u64, of: u64 },
    /// An operator decided.
    Decided { action: &'static str, message: u64, channel: &'a str, actor: &'a str },
    /// The index of what waits behind parked messages cannot be written.
    HeldUnwritable { error: &'a std::io::Error },
    /// The window of duplicates cannot be taken up.
    SeenUnwritable { error: &'a SeenError },
    /// The archive cannot be written; nothing is lost, it lags behind.
    ArchiveUnwritable { error: &'a archive::error::ArchiveError },
    /// A part of the archive was damaged and is fed anew from the journal.
    ArchiveSetAside { finding: &'a str },
    /// Files of the identity index were damaged.
    IdentitySetAside { finding: &'a str },
    /// The identity index cannot be written.
    IdentityUnwritable { error: &'a IndexError },
    /// Days of the archive were dropped.
    ArchivePruned { days: u64, bytes: u64 },
    /// A data-quality finding; counted, never more than its code.
    Quality { channel: &'a str, code: &'a str, count: u64 },
    /// A look-up that found nothing.
    TableMiss { channel: &'a str, table: &'a str, count: u64 },
    /// An event has its receipt.
    Published { subscribers: usize },
    /// The broker confirmed an event but no queue took it; it is kept and tried again.
    Unroutable { event_type: &'a str, routing_key: &'a str },
    /// A publish got no receipt and will be tried again.
    PublishRetried { reason: &'static str },
    /// The broker will never take an event; `detail` is its own words, which know no content.
    PublishRefused { reason: &'static str, detail: &'a str },
    /// Bindings that this engine once made and channels.yaml no longer asks for were removed.
    Unbound { bindings: usize },
    /// The broker connection is up and its topology stands.
    BrokerUp { address: &'a str },
    /// The broker connection is lost or cannot be made.
    BrokerDown { address: &'a str, detail: &'a str, retry_ms: u64 },
    /// The broker holds something other than what channels.yaml asks for.
    TopologyDiffers { detail: &'a str },
    /// The journal can write no more; the process must stop.
    JournalFailed,
    /// Old volumes were removed.
    VolumesDropped { volumes: u64, bytes: u64 },
    /// The configuration file on disk is broken; what was last activated is used.
    LastGood { path: &'a Path, problems: usize },
    /// Something needs a person.
    AlarmOpened { alarm: &'a Alarm, now: Timestamp },
    /// It does no more.
    AlarmClosed { alarm: &'a Alarm, after: Period },
    /// Nobody could be told of an alarm but by this log.
    AlertNotTold { kind: &'static str, why: &'a str },
    /// A subscriber took an event that the engine delivers.
    Delivered { subscriber: &'a str },
    /// It did not; the event is sent again. `first` for the first time in a row with this cause.
    DeliveryFailed { subscriber: &'a str, why: &'a str, for_good: bool, first: bool },
    /// The form that a subscriber takes has no room for an event.
    DeliveryOmitted { subscriber: &'a str, why: &'static str },
    /// A subscriber refused an event for good, and channels.yaml says to leave such out.
    DeliverySkipped { subscriber: &'a str, why: &'a str },
    /// How far a subscriber was delivered to cannot be written down.
    PlaceUnwritable { subscriber: &'a str, error: &'a std::io::Error },
}

impl Event<'_> {
    /// Damage that a reader met.
    pub fn damage(damage: &Corruption) -> Self {
        let bytes = damage.bytes.end.saturating_sub(damage.bytes.start);
        Self::Corruption { volume: damage.volume, offset: damage.bytes.start, bytes }
    }

    /// Counts and tells.
    pub fn emit(self) {
        match self {
            Self::Ready { channels, listeners, took_ms } => {
                info!(channels, listeners, took_ms, "ready");
            }
            Self::Stopping { reason } => info!(reason, "stopping"),
            Self::Recovered { entries, pending, torn, took_ms } => {
                info!(entries, pending, torn, took_ms, "journal recovered");
            }
            Self::Corruption { volume, offset, bytes } => {
                counter!("tieline_journal_corruptions_total").increment(1);
                error!(
                    volume,
                    offset,
                    bytes,
                    "journal bytes fail their checksum; they are kept and skipped: restore this volume from a backup or ask the senders to resend"
                );
            }
            Self::RecordWaits => {
                counter!("tieline_records_waiting_total").increment(1);
                error!(
                    "disk is full: outcomes wait for room; free space on the data folder's disk"
                );
            }
            Self::OutcomeUnreadable { message } => error!(
                message,
                "the journal's entry of this message is damaged: it is held and not delivered; restore the volume from a backup"
            ),
            Self::DiskUnreadable { error } => {
                error!(%error, "the journal cannot be read; trying again");
            }
            Self::PartEnded { part } => {
                error!(part, "a part of the engine ended unexpectedly; stopping to start afresh");
            }
            Self::Activated { version, last_good } => {
                info!(version, last_good, "configuration activated");
            }
            Self::Listening { listener, address } => info!(listener, %address, "listening"),
            Self::LastGood { path, problems } => error!(
                file = %path.display(),
                problems,
                "configuration is broken; running the last good copy: mend it and restart"
            ),
            Self::JournalFailed => {
                error!("the journal cannot write; stopping: nothing unsafe was acknowledged");
            }
            Self::VolumesDropped { volumes, bytes } => {
                info!(volumes, bytes, "old journal volumes removed");
            }
            other => other.emit_connection(),
        }
    }

    fn emit_connection(self) {
        match self {
            Self::Connected { listener, peer } => {
                counter!("tieline_connections_total", "listener" => listener.to_owned())
                    .increment(1);
                debug!(listener, %peer, "connected");
            }
            Self::Disconnected { listener, peer, why } => {
                counter!("tieline_disconnections_total", "listener" => listener.to_owned(), "why" => why)
                    .increment(1);
                debug!(listener, %peer, why, "disconnected");
            }
            Self::HandshakeFailed { listener, peer, why } => {
                counter!("tieline_handshakes_failed_total", "listener" => listener.to_owned(), "why" => why.word())
                    .increment(1);
                if why == Handshake::Closed {
                    // As whoever only looks whether the port is open does all day.
                    debug!(listener, %peer, why = why.word(), "TLS handshake failed");
                } else {
                    warn!(listener, %peer, why = why.word(), "TLS handshake failed: {}", why.advice());
                }
            }
            Self::ConnectionRefused { listener, peer, maximum } => {
                counter!("tieline_connections_refused_total", "listener" => listener.to_owned())
                    .increment(1);
                warn!(listener, %peer, maximum, "connection refused: the listener holds its maximum; raise listener.mllp.connections if this peer is expected");
            }
            other => other.emit_intake(),
        }
    }

    fn emit_intake(self) {
        match self {
            Self::Refused { listener, reason, tell } => {
                counter!("tieline_messages_refused_total", "listener" => listener.to_owned(), "reason" => reason)
                    .increment(1);
                if tell {
                    warn!(listener, reason, "frames refused; their bytes are kept for a look");
                }
            }
            Self::AnsweredUnpublished { channel } => {
                counter!("tieline_acknowledgements_unpublished_total", "channel" => channel.to_owned())
                    .increment(1);
                debug!(channel, "acknowledged before it was published: acknowledge.within is over");
            }
            Self::StrayAcknowledgement { listener } => {
                counter!("tieline_stray_acknowledgements_total", "listener" => listener.to_owned())
                    .increment(1);
                warn!(listener, "a peer sent an acknowledgement as a message; it is not answered");
            }
            Self::Junk { listener, bytes } => {
                counter!("tieline_junk_bytes_total", "listener" => listener.to_owned())
                    .increment(bytes as u64);
                debug!(listener, bytes, "bytes outside any frame");
            }
            Self::BatchCount { listener, messages } => {
                counter!("tieline_batch_counts_wrong_total", "listener" => listener.to_owned())
                    .increment(1);
                warn!(
                    listener,
                    messages,
                    "a batch has other counts than its BTS or FTS says; what it has was taken: ask the sender what is missing"
                );
            }
            Self::IntakeClosed => {
                counter!("tieline_intake_closed_total").increment(1);
                error!(
                    "disk is full: nothing more is acknowledged until there is room; what was accepted is still delivered"
                );
            }
            Self::ListenerClosed { listener, address } => {
                info!(listener, %address, "no longer listening");
            }
            Self::Reloaded { version, added, removed, changed } => {
                counter!("tieline_reloads_total", "outcome" => "activated").increment(1);
                let [added, removed, changed] =
                    [added, removed, changed].map(|names| names.join(" "));
                info!(version, added, removed, changed, "configuration reloaded");
            }
            Self::WaitsForRestart { keys } => warn!(
                keys = keys.join(" "),
                "these changes need a restart; everything else is in force"
            ),
            Self::ReloadRefused { why } => {
                counter!("tieline_reloads_total", "outcome" => "refused").increment(1);
                error!(why, "configuration not reloaded: nothing has changed; mend it and reload");
            }
            Self::IntakePaused { channel } => {
                warn!(channel, "intake paused: its senders wait until it is resumed");
            }
            Self::IntakeResumed { channel } => info!(channel, "intake resumed"),
            Self::IntakeOpen => info!("there is room on disk again: intake goes on"),
            other => other.emit_delivery(),
        }
    }

    fn emit_delivery(self) {
        match self {
            Self::Parked { channel, message, reason } => {
                counter!("tieline_messages_settled_total", "channel" => channel.to_owned(), "state" => "parked", "reason" => reason.to_owned())
                    .increment(1);
                warn!(channel, message, reason, "message parked");
            }
            Self::Duplicate { channel, message, of } => {
                counter!("tieline_duplicates_total", "channel" => channel.to_owned()).increment(1);
                debug!(channel, message, of, "a copy of an earlier message; not processed again");
            }
            Self::Decided { action, message, channel, actor } => {
                counter!("tieline_decisions_total", "action" => action).increment(1);
                info!(action, message, channel, actor, "an operator decided");
            }
            Self::HeldUnwritable { error } => {
                error!(%error, "what waits behind parked messages cannot be written; trying again: free space on the data folder's disk");
            }
            Self::SeenUnwritable { error } => {
                error!(%error, "the window of duplicates cannot be written; nothing is delivered: free space on the data folder's disk");
            }
            Self::ArchiveUnwritable { error } => {
                counter!("tieline_archive_errors_total").increment(1);
                error!(%error, "the archive cannot be written; messages are delivered, finding them lags behind");
            }
            Self::ArchiveSetAside { finding } => {
                warn!(
                    finding,
                    "a part of the archive was set aside; it is fed anew from the journal"
                );
            }
            Self::ArchivePruned { days, bytes } => {
                info!(days, bytes, "old days of the archive were removed");
            }
            Self::Quality { channel, code, count } => {
                counter!("tieline_data_quality_total", "channel" => channel.to_owned(), "code" => code.to_owned())
                    .increment(count);
            }
            Self::TableMiss { channel, table, count } => {
                counter!("tieline_table_misses_total", "channel" => channel.to_owned(), "table" => table.to_owned())
                    .increment(count);
            }
            Self::Published { subscribers } => {
                let routed = if subscribers == 0 { "none" } else { "some" };
                counter!("tieline_events_published_total", "subscribers" => routed).increment(1);
            }
            Self::Unroutable { event_type, routing_key } => {
                counter!("tieline_events_unroutable_total").increment(1);
                warn!(
                    event_type,
                    routing_key,
                    "unroutable: a subscriber should get this event but no queue is bound; declaring the topology again and retrying"
                );
            }
            Self::PublishRetried { reason } => {
                counter!("tieline_publish_retries_total", "reason" => reason).increment(1);
            }
            Self::PublishRefused { reason, detail } => {
                counter!("tieline_publish_refusals_total", "reason" => reason).increment(1);
                error!(reason, detail, "the broker will never take this event as it is");
            }
            Self::Unbound { bindings } => {
                info!(bindings, "bindings that channels.yaml no longer asks for are removed");
            }
            Self::BrokerUp { address } => info!(address, "broker connected, topology in place"),
            Self::BrokerDown { address, detail, retry_ms } => {
                counter!("tieline_broker_failures_total").increment(1);
                error!(address, detail, retry_ms, "broker not reachable: events wait on disk");
            }
            Self::TopologyDiffers { detail } => {
                error!(
                    detail,
                    "the broker holds a different exchange or queue: delete it there or name another in channels.yaml"
                );
            }
            other => other.emit_identity(),
        }
    }

    fn emit_identity(self) {
        match self {
            Self::IdentitySetAside { finding } => {
                error!(
                    finding,
                    "files of the identity index were set aside; it is taken from a copy and the journal"
                );
            }
            Self::IdentityUnwritable { error } => {
                counter!("tieline_identity_errors_total").increment(1);
                error!(%error, "the identity index cannot be written; what it learns stays in the journal: free space on the data folder's disk");
            }
            other => other.emit_alarm(),
        }
    }

    fn emit_alarm(self) {
        match self {
            Self::AlarmOpened { alarm, now } => {
                let kind = alarm.kind.name();
                let channel = alarm.channel.clone().unwrap_or_default();
                counter!("tieline_alarms_total", "kind" => kind, "channel" => channel.clone())
                    .increment(1);
                error!(kind, channel, text = alarm.text(now), "alarm open");
            }
            Self::AlarmClosed { alarm, after } => {
                let channel = alarm.channel.as_deref().unwrap_or_default();
                error!(kind = alarm.kind.name(), channel, "alarm closed after {after}");
            }
            Self::AlertNotTold { kind, why } => {
                counter!("tieline_alerts_not_told_total", "kind" => kind).increment(1);
                warn!(kind, why, "nobody was told of an alarm: mend alerts.on_alert");
            }
            other => other.emit_outbox(),
        }
    }
}

impl Event<'_> {
    fn emit_outbox(self) {
        match self {
            Self::Delivered { subscriber } => {
                let subscriber = subscriber.to_owned();
                counter!("tieline_deliveries_total", "subscriber" => subscriber).increment(1);
            }
            Self::DeliveryFailed { subscriber, why, for_good, first } => {
                let kind = if for_good { "refused" } else { "away" };
                counter!("tieline_delivery_failures_total", "subscriber" => subscriber.to_owned(), "kind" => kind)
                    .increment(1);
                if for_good && first {
                    error!(
                        subscriber,
                        why, "an event is refused: nothing passes it; tried again every minute"
                    );
                } else if first {
                    warn!(subscriber, why, "not delivered: its events wait on disk");
                }
            }
            Self::DeliveryOmitted { subscriber, why } => {
                counter!("tieline_deliveries_omitted_total", "subscriber" => subscriber.to_owned(), "why" => why)
                    .increment(1);
            }
            Self::DeliverySkipped { subscriber, why } => {
                counter!("tieline_deliveries_omitted_total", "subscriber" => subscriber.to_owned(), "why" => "refused")
                    .increment(1);
                error!(
                    subscriber,
                    why, "an event is refused and left out, as `refused: skip` says"
                );
            }
            Self::PlaceUnwritable { subscriber, error } => {
                error!(subscriber, %error, "how far it was delivered to cannot be written: after a restart events come twice; look at the data folder's disk");
            }
            // Every other variant was told by the callers of this function.
            _ => {}
        }
    }
}
