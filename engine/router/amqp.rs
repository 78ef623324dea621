//! RabbitMQ by lapin: what the engine holds of it. The work is the supervisor's.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::broker_health::Health;
use crate::broker_plan::BrokerPlan;
use crate::lifeline::Lifeline;
use crate::publish::{BrokerHealth, Outgoing, PublishError, Publisher, Receipt};
use crate::routes::Routes;
use crate::supervisor::{Request, Supervisor, WINDOW};

/// The publisher's handle, cheap to clone; the supervisor runs until the token is cancelled.
#[derive(Clone, Debug)]
pub struct Amqp {
    requests: mpsc::Sender<Request>,
    health: Arc<Health>,
    plan: Arc<watch::Sender<BrokerPlan>>,
}

impl Amqp {
    /// Starts the supervisor on the running runtime; it ends when `stop` is cancelled.
    pub(crate) fn start(plan: &BrokerPlan, stop: CancellationToken, lifeline: Lifeline) -> Self {
        let (sender, requests) = mpsc::channel(WINDOW);
        let (plan, watched) = watch::channel(plan.clone());
        let health = Arc::new(Health::new(&plan.borrow().address.shown));
        let supervisor = Supervisor::new(watched, requests, health.clone(), stop);
        tokio::spawn(async move {
            let _lifeline = lifeline;
            supervisor.run().await;
        });
        Self { requests: sender, health, plan: Arc::new(plan) }
    }

    /// From now on the broker is there and holds that. A new address means a new connection, on
    /// which everything without a receipt is sent again; a new topology is declared on this one.
    pub fn reconfigure(&self, plan: &BrokerPlan) {
        self.plan.send_if_modified(|present| {
            let changed = present != plan;
            if changed {
                present.clone_from(plan);
            }
            changed
        });
    }

    /// The same broker with other subscribers.
    pub fn reroute(&self, routes: &Routes) {
        let mut plan = self.plan.borrow().clone();
        plan.topology.routes.clone_from(routes);
        self.reconfigure(&plan);
    }
}

impl Publisher for Amqp {
    async fn publish(&self, event: Outgoing) -> Result<Receipt, PublishError> {
        let (answer, answered) = oneshot::channel();
        let request = Request { event, answer };
        self.requests.send(request).await.map_err(|_| PublishError::Stopping)?;
        answered.await.unwrap_or(Err(PublishError::Stopping))
    }

    fn health(&self) -> BrokerHealth {
        self.health.told()
    }
}
