//! Looks at the engine every few seconds: gauges for `/metrics`, and one line when intake closes.

use std::time::Duration;

use metrics::gauge;
use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::handle::Handle;

/// How often.
const PERIOD: Duration = Duration::from_secs(5);

/// Sets the gauges until stopped.
pub(crate) async fn sample(engine: Handle, stop: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let asked = engine.clone();
        if let Ok(status) = tokio::task::spawn_blocking(move || asked.status()).await {
            for channel in &status.channels {
                let counts = channel.sums.counts;
                for (state, count) in
                    [("pending", counts.pending), ("parked", counts.parked), ("held", channel.held)]
                {
                    let labels = [("channel", channel.name.clone()), ("state", state.to_owned())];
                    gauge!("tieline_messages", &labels).set(float(count));
                }
                let ages = [
                    ("tieline_oldest_pending_message_seconds", channel.oldest_pending),
                    ("tieline_oldest_parked_message_seconds", channel.oldest_parked),
                ];
                for (name, age) in ages {
                    let age = age.unwrap_or_default().unsigned_abs();
                    gauge!(name, "channel" => channel.name.clone()).set(float(age));
                }
            }
            gauge!("tieline_retrying_messages").set(float(status.retrying as u64));
            let oldest = status.oldest_pending.unwrap_or_default().unsigned_abs();
            gauge!("tieline_oldest_pending_seconds").set(float(oldest));
            gauge!("tieline_journal_bytes").set(float(status.journal.bytes));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are for people; counts far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Tells once when the disk is full and once when there is room again.
pub(crate) async fn tell_intake(engine: Handle, stop: CancellationToken) {
    let mut open = engine.intake_open();
    let mut was = true;
    loop {
        let now = *open.borrow_and_update();
        if now != was {
            if now {
                Event::IntakeOpen.emit();
            } else {
                Event::IntakeClosed.emit();
            }
            was = now;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = open.changed() => if changed.is_err() { return },
        }
    }
}
