//! What every metric says, so that `/metrics` explains itself.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// What each counter counts.
const COUNTERS: [(&str, &str); 32] = [
    ("tieline_deliveries_total", "Events that a subscriber took from the engine."),
    ("tieline_delivery_failures_total", "Attempts to deliver that failed, by subscriber and kind."),
    ("tieline_deliveries_omitted_total", "Events left out of a delivery, by subscriber and cause."),
    ("tieline_duplicates_total", "Copies of earlier messages, not processed again, by channel."),
    ("tieline_decisions_total", "What operators decided, by action."),
    (
        "tieline_identity_errors_total",
        "Failed writes of the identity index; the journal has what it learned.",
    ),
    ("tieline_archive_errors_total", "Failed writes of the archive; the journal has it all."),
    ("tieline_messages_received_total", "Messages made durable, by channel."),
    ("tieline_messages_refused_total", "Frames answered negatively, by listener and reason."),
    (
        "tieline_messages_settled_total",
        "Messages that reached a state, by channel, state and reason code.",
    ),
    ("tieline_acknowledgements_total", "Answers sent, by channel and code."),
    ("tieline_connections_total", "Connections accepted, by listener."),
    ("tieline_disconnections_total", "Connections ended, by listener and cause."),
    ("tieline_handshakes_failed_total", "TLS handshakes that failed, by listener and cause."),
    ("tieline_connections_refused_total", "Connections turned away, by listener."),
    (
        "tieline_acknowledgements_unpublished_total",
        "Answers that waited for a message to be published, in vain, by channel.",
    ),
    ("tieline_stray_acknowledgements_total", "Acknowledgements received as messages."),
    ("tieline_junk_bytes_total", "Bytes received outside any frame."),
    ("tieline_batch_counts_wrong_total", "Batches with other counts than they say."),
    ("tieline_data_quality_total", "Data-quality findings, by channel and code."),
    ("tieline_table_misses_total", "Look-ups that found nothing, by channel and table."),
    (
        "tieline_events_published_total",
        "Events with a receipt, by whether any subscriber wanted them.",
    ),
    ("tieline_events_unroutable_total", "Events the broker could not route; each is retried."),
    ("tieline_publish_retries_total", "Publishes without a receipt, by what stood in the way."),
    ("tieline_publish_refusals_total", "Events that the broker will never take, by reason code."),
    ("tieline_broker_failures_total", "Broker connections lost or refused."),
    ("tieline_journal_corruptions_total", "Durable journal parts that fail their checksum."),
    ("tieline_reloads_total", "Reloads of the configuration, by outcome."),
    ("tieline_intake_closed_total", "Times that intake stopped because the disk was full."),
    (
        "tieline_records_waiting_total",
        "Attempts to record an outcome or a state that found the disk full.",
    ),
    ("tieline_alarms_total", "Alarms opened, by kind and channel."),
    ("tieline_alerts_not_told_total", "Alarms that on_alert could not be told of, by kind."),
];

/// Describes every metric, so that `/metrics` explains itself.
pub fn describe() {
    for (name, text) in COUNTERS {
        describe_counter!(name, text);
    }
    describe_gauge!("tieline_messages", "Messages in a state that may still move, by channel.");
    describe_gauge!("tieline_journal_bytes", Unit::Bytes, "Journal volumes on disk.");
    describe_gauge!("tieline_connections", "Open connections, by listener.");
    describe_gauge!("tieline_unroutable_events", "Events waiting because no queue took them.");
    describe_gauge!("tieline_alarms", "1 while an alarm is open, by kind and channel.");
    describe_gauge!("tieline_broker_connected", "1 while the broker is connected.");
    describe_gauge!(
        "tieline_last_received_timestamp_seconds",
        Unit::Seconds,
        "When a channel last accepted a message."
    );
    describe_gauge!(
        "tieline_oldest_pending_seconds",
        Unit::Seconds,
        "Age of the oldest message waiting for delivery."
    );
    describe_histogram!(
        "tieline_acknowledge_duration_seconds",
        Unit::Seconds,
        "From the end of a frame to its answer."
    );
    describe_histogram!(
        "tieline_delivery_duration_seconds",
        Unit::Seconds,
        "From receipt to the last receipt of the message's events."
    );
}
