//! Names that messages mention together.
//!
//! A message that names two records, or a number and a record that were strangers so far, may make
//! them one patient. Until it is done nobody knows. So the names of everything under way that hangs
//! together, through any number of messages, are one family, and all of a family is in order.
//!
//! Of what is in memory, a family ends with the last message of it that is under way
//! ([`Kin::join`], [`Kin::leave`]). Of what is held on disk, a name belongs to its family as long as
//! anything stands in its chain ([`Kin::unite`], [`Kin::part`]).

use std::collections::HashMap;
use std::hash::Hash;

/// The families of what is under way, or of what is held.
#[derive(Debug)]
pub(crate) struct Kin<N> {
    family_of: HashMap<N, u64>,
    families: HashMap<u64, Family<N>>,
    next: u64,
}

#[derive(Debug)]
struct Family<N> {
    names: Vec<N>,
    under_way: usize,
}

impl<N> Default for Kin<N> {
    fn default() -> Self {
        Self { family_of: HashMap::new(), families: HashMap::new(), next: 0 }
    }
}

impl<N: Clone + Eq + Hash> Kin<N> {
    /// A message with these names is under way: gives back the names of its whole family, each once.
    pub(crate) fn join(&mut self, names: &[N]) -> Vec<N> {
        let Some(home) = self.unite(names) else { return Vec::new() };
        let Some(family) = self.families.get_mut(&home) else { return names.to_vec() };
        family.under_way += 1;
        family.names.clone()
    }

    /// A message is done; `name` is one of its names.
    pub(crate) fn leave(&mut self, name: &N) {
        let Some(&home) = self.family_of.get(name) else { return };
        let Some(family) = self.families.get_mut(&home) else { return };
        family.under_way -= 1;
        if family.under_way == 0
            && let Some(ended) = self.families.remove(&home)
        {
            for name in ended.names {
                self.family_of.remove(&name);
            }
        }
    }

    /// These names are of one family from now on: gives back which; none has none.
    pub(crate) fn unite(&mut self, names: &[N]) -> Option<u64> {
        names.first()?;
        let known = names.iter().filter_map(|name| self.family_of.get(name));
        let largest = known.copied().max_by_key(|family| self.families[family].names.len());
        let home = largest.unwrap_or_else(|| {
            self.next += 1;
            self.families.insert(self.next, Family { names: Vec::with_capacity(4), under_way: 0 });
            self.next
        });
        for name in names {
            match self.family_of.get(name) {
                Some(family) if *family == home => {}
                Some(&other) => self.take_in(other, home),
                None => self.adopt(name.clone(), home),
            }
        }
        Some(home)
    }

    /// The other names of the family of `name`, and itself; nothing if it has none.
    pub(crate) fn family(&self, name: &N) -> &[N] {
        let family = self.family_of.get(name).and_then(|home| self.families.get(home));
        family.map_or(&[], |family| &family.names)
    }

    /// The name belongs to its family no more.
    pub(crate) fn part(&mut self, name: &N) {
        let Some(home) = self.family_of.remove(name) else { return };
        let Some(family) = self.families.get_mut(&home) else { return };
        family.names.retain(|other| other != name);
        if family.names.is_empty() {
            self.families.remove(&home);
        }
    }

    fn take_in(&mut self, other: u64, home: u64) {
        let Some(joins) = self.families.remove(&other) else { return };
        if let Some(family) = self.families.get_mut(&home) {
            family.under_way += joins.under_way;
        }
        for name in joins.names {
            self.adopt(name, home);
        }
    }

    fn adopt(&mut self, name: N, home: u64) {
        self.family_of.insert(name.clone(), home);
        if let Some(family) = self.families.get_mut(&home) {
            family.names.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(mut family: Vec<&str>) -> String {
        family.sort_unstable();
        family.join(" ")
    }

    #[test]
    fn a_family_is_what_hangs_together_and_ends_with_its_last() {
        let mut kin: Kin<&str> = Kin::default();
        assert_eq!(sorted(kin.join(&["a", "b"])), "a b");
        assert_eq!(sorted(kin.join(&["c", "d"])), "c d");
        assert_eq!(sorted(kin.join(&["b", "c", "e"])), "a b c d e");
        assert_eq!(sorted(kin.join(&["a"])), "a b c d e");
        for name in ["a", "d", "e"] {
            kin.leave(&name);
        }
        assert_eq!(sorted(kin.join(&["c"])), "a b c d e");
        kin.leave(&"a");
        kin.leave(&"c");
        assert!(kin.family_of.is_empty() && kin.families.is_empty());
        assert_eq!(sorted(kin.join(&["a"])), "a");
        assert!(kin.join(&[]).is_empty());
    }

    #[test]
    fn a_name_parts_from_its_family_and_the_others_stay() {
        let mut kin: Kin<&str> = Kin::default();
        kin.unite(&["a", "b"]);
        kin.unite(&["b", "c"]);
        assert_eq!(sorted(kin.family(&"a").to_vec()), "a b c");
        kin.part(&"b");
        assert_eq!((sorted(kin.family(&"a").to_vec()), kin.family(&"b").len()), ("a c".into(), 0));
        kin.part(&"a");
        kin.part(&"c");
        assert!(kin.family_of.is_empty() && kin.families.is_empty());
    }
}
