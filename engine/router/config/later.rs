//! Keys of the contract that this version reads and does not yet obey. Each is said aloud: a key
//! that is silently without effect is worse than one that is refused.

use crate::config::channel::Channel;
use crate::config::model::Config;
use crate::config::problem::Problem;
use crate::config::subscriber::Deliver;
use crate::config::tree::Node;

/// Adds a warning for each key that is written and not yet in force.
pub(super) fn warn(config: &Config, tree: &Node, problems: &mut Vec<Problem>) {
    let mut say = |path: &[&str], instead: &str| {
        let key = path.last().unwrap_or(&"");
        let problem = Problem::warning(
            tree.place_of(path),
            format!("`{key}` is not yet in force in this version"),
        );
        problems.push(problem.help(instead));
    };
    for (name, channel) in config.channels.iter() {
        for (path, instead) in said(channel) {
            let path: Vec<&str> = ["channels", name].into_iter().chain(path.split('.')).collect();
            say(&path, instead);
        }
    }
    for (name, subscriber) in config.subscribers.iter() {
        let later = match &subscriber.deliver {
            Some(Deliver::Mllp(_)) => "mllp",
            Some(Deliver::File(_)) => "file",
            Some(Deliver::Http(_)) | None => continue,
        };
        let instead = "the subscriber has a queue instead; `http` is in force";
        say(&["subscribers", name, "deliver", later], instead);
    }
}

fn said(channel: &Channel) -> impl Iterator<Item = (&'static str, &'static str)> {
    let identity = &channel.identity;
    [
        (identity.teaches, "identity.teaches", "each message is known by what it says itself"),
        (identity.merges.is_some(), "identity.merges", "every merge parks as merge.unsupported"),
    ]
    .into_iter()
    .filter(|(said, ..)| *said)
    .map(|(_, path, instead)| (path, instead))
}
