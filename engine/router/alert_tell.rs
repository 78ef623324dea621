//! Telling others of an alarm: a program or a webhook, one notice after the other.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::alert_exec;
use crate::alert_notice::Notice;
use crate::alert_plan::OnAlertPlan;
use crate::alert_webhook;
use crate::event::Event;

/// What is told, and to whom.
pub(crate) type Told = (Arc<OnAlertPlan>, Notice);

/// Tells one after the other until nobody can send more.
pub(crate) async fn tell(mut notices: mpsc::Receiver<Told>) {
    while let Some((on_alert, notice)) = notices.recv().await {
        let told = match &*on_alert {
            OnAlertPlan::Exec { program, arguments } => {
                alert_exec::run(program, arguments, &notice, alert_exec::LIMIT).await
            }
            OnAlertPlan::Webhook { url, header } => {
                alert_webhook::post(url, header.as_ref(), &notice, alert_webhook::ATTEMPTS).await
            }
        };
        if let Err(why) = told {
            Event::AlertNotTold { kind: notice.kind, why: &why }.emit();
        }
    }
}
