//! Keys of the contract that this version reads and does not yet obey. Each is said aloud: a key
//! that is silently without effect is worse than one that is refused.

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
