//! Who decides: the user of the operating system, for the audit. The engine's token is what
//! authorises; this says whose decision it was.

use std::fs;

use anyhow::{Result, bail};
use rustix::process::getuid;

use crate::environment;

/// Where local users are listed.
const USERS: &str = "/etc/passwd";

/// The person at the keyboard.
#[derive(Debug)]
pub(crate) struct Operator(String);

impl Operator {
    /// The user this process runs as; behind `sudo`, the one who called it.
    pub(crate) fn of_this_process() -> Result<Self> {
        let id = getuid().as_raw();
        let behind = environment::behind_sudo().filter(|_| id == 0);
        // A user of a directory service stands in no file; the session names it.
        let listed = || user_of(&fs::read_to_string(USERS).unwrap_or_default(), id);
        match behind.or_else(listed).or_else(environment::user) {
            Some(name) => Ok(Self(name)),
            None => bail!("user {id} has no name, and the audit needs one: set USER"),
        }
    }

    /// Their name.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

fn user_of(users: &str, id: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user_of(users, 1000).as_deref(), Some("ann"));
        assert_eq!(user_of(users, 0).as_deref(), Some("root"));
        assert_eq!(user_of(users, 7), None);
    }
}
