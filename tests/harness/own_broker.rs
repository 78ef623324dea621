//! A RabbitMQ node that a story may harm. The name of such a story's test contains `own_broker`:
//! these run one at a time.

use super::broker::{Node, Place, signal};

#[derive(Debug)]
pub(crate) struct OwnBroker {
    place: Place,
    node: Option<Node>,
}

impl OwnBroker {
    pub(crate) fn start() -> Self {
        let node = Node::start_anywhere().expect("RabbitMQ starts (cargo xtask test installs it)");
        Self { place: node.place.clone(), node: Some(node) }
    }

    /// The same node with more lines in its rabbitmq.conf.
    pub(crate) fn start_with(settings: &'static str) -> Self {
        let mut own = Self::start();
        own.stop();
        own.place.settings = settings;
        own.start_again();
        own
    }

    /// The same before and after a restart.
    pub(crate) fn url(&self) -> String {
        self.place.url()
    }

    pub(crate) fn port(&self) -> u16 {
        self.place.amqp
    }

    /// To the running node, e.g. `STOP` and `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.place.folder.join("pid")).expect("a running node");
        signal(name, pid.trim()).expect("the node can be signalled");
    }

    /// Ends the node in good order; its queues and their content stay on disk.
    pub(crate) fn stop(&mut self) {
        self.node.take().expect("the broker runs").stop(true).expect("the broker stops");
    }

    /// SIGKILL, as when the machine loses its power.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        let mut node = self.node.take().expect("the broker runs");
        node.wait().expect("the node ends");
        node.stop(true).expect("nothing is left to stop");
    }

    /// After [`OwnBroker::stop`] or [`OwnBroker::kill`]: the same place, the same content.
    pub(crate) fn start_again(&mut self) {
        assert!(self.node.is_none(), "the broker already runs");
        self.node = Some(Node::start(self.place.clone()).expect("RabbitMQ starts again"));
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the broker's last lines\n{}", self.place.log_tail());
        }
        drop(self.node.take());
        // A node that was ended before left its folder to us; a running one has just removed it.
        let _gone = std::fs::remove_dir_all(&self.place.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::amqp::TestBroker;

    #[test]
    fn own_broker_keeps_its_queues_over_either_end() {
        let mut own = OwnBroker::start();
        let queue = {
            let broker = TestBroker::at(&own.url());
            let queue = broker.name("kept");
            broker.declare_queue(&queue);
            broker.put(&queue, b"content");
            // Its queue is wanted after the restart.
            broker.leave_behind();
            queue
        };
        own.stop();
        own.start_again();
        assert_eq!(TestBroker::at(&own.url()).count(&queue), 1);
        own.kill();
        own.start_again();
        assert_eq!(TestBroker::at(&own.url()).count(&queue), 1);
        let folder = own.place.folder.clone();
        drop(own);
        assert!(!folder.try_exists().unwrap());
    }
}
