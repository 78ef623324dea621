//! The first half of processing: what a message is, and whom it is about.

use std::slice;
use std::sync::Arc;

use bytes::Bytes;
use hl7::header::Header;
use hl7::message::Message;
use hl7::tolerance::Deviation;
use identity::index::Index;
use identity::question::Asked;
use identity::stated::Stated;
use record::identity::Identity;
use record::source::{Source, WrongCharset};
use record::{order, site, sought, translation};

use crate::accept::{self, Decision as Rules};
use crate::order::OrderKey;
use crate::plan::ChannelPlan;
use crate::scope::{Scope, scope};

/// A message whose patient is known as far as it can be.
pub struct Identified {
    /// Bytes as received.
    pub frame: Bytes,
    /// In the terms of HL7 UK, whatever its source's are; absent when not even MSH can be read, which
    /// intake would have refused.
    pub message: Option<(Message, Header)>,
    /// In the terms of its source, where these are others.
    pub as_sent: Option<Message>,
    /// Whom it is about.
    pub identity: Option<Arc<Identity>>,
    /// What it says of them that the identity index has to know; there whenever it can be read.
    pub stated: Option<Stated>,
    /// The names of the patients it is about; empty when it waits for nobody.
    pub keys: Vec<OrderKey>,
    /// Whether it is about several patients, as far as anybody knows.
    pub several: bool,
    /// Set when no script may see it.
    pub parked: Option<&'static str>,
}

impl Identified {
    /// Whether it says outright that its patient is protected or dissents: while nobody has learned
    /// that, nothing of the patient may go before it, on any channel.
    pub(crate) fn raises(&self) -> bool {
        self.stated.as_ref().is_some_and(Stated::raises)
    }

    /// What a person has to know of why no script may see it: places, never a value.
    pub(crate) fn detail(&self, source: &Source) -> Option<String> {
        let (message, _) = self.message.as_ref()?;
        let parked = self.parked?;
        if parked == "identity.none" {
            return Some(sought::nobody(message, source));
        }
        let conflict = Identity::read(message, source).err()?;
        (conflict.code() == parked).then(|| sought::contradiction(conflict, message, source))
    }

    /// Without its names, if nobody waits for what is parked for such a reason.
    fn unless_waited_for_by_nobody(mut self) -> Self {
        if !self.raises() && self.parked.is_some_and(|reason| scope(reason) == Scope::Nobody) {
            self.keys.clear();
        }
        self
    }

    /// The same message, taken to be about somebody else than it says: for rehearsals.
    pub fn take_for(&mut self, channel: &ChannelPlan, identity: Identity) {
        let message = self.message.as_ref();
        self.stated = message.map(|(message, _)| Stated::read(message, &channel.source, &identity));
        self.identity = Some(Arc::new(identity));
    }
}

/// Frame and keys name a patient: what is shown says only how far it got.
impl std::fmt::Debug for Identified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identified").field("parked", &self.parked).finish_non_exhaustive()
    }
}

impl Identified {
    /// A message that no script may see, and that waits for nothing.
    pub fn parked(frame: Bytes, reason: &'static str) -> Self {
        let (message, as_sent, identity, stated) = (None, None, None, None);
        let (keys, several, parked) = (Vec::new(), false, Some(reason));
        Self { frame, message, as_sent, identity, stated, keys, several, parked }
    }
}

/// Reads a message and finds its patient; never fails, for whatever is wrong becomes a reason.
pub fn identify(channel: &ChannelPlan, frame: Bytes, index: &Index) -> Identified {
    let source = &channel.source;
    let Ok(message) = Message::parse(frame.clone(), &source.reading()) else {
        return Identified::parked(frame, "structure");
    };
    let Ok(header) = Header::read(&message) else {
        return Identified::parked(frame, "structure");
    };
    let unread = if !channel.accept.type_expected(&header.message_code, &header.trigger) {
        Some("trigger.unknown")
    } else if message.is_header_only() {
        Some("structure")
    } else {
        None
    };
    let (message, as_sent, noticed) = match translation::translated(&message, source) {
        Some(translated) => (translated.message, Some(message), translated.quality),
        None => (message, None, Vec::new()),
    };
    let (identity, conflict) = match Identity::read(&message, source) {
        Ok(identity) => (Some(identity), None),
        Err(conflict) => (None, Some(conflict.code())),
    };
    let names = order::order_keys(&message, source, identity.as_ref());
    let mut keys: Vec<OrderKey> = names.iter().map(|key| OrderKey::from(key.as_str())).collect();
    // What contradicts itself names nobody, and may say all the same that they are protected.
    let stated = Stated::read(&message, source, identity.as_ref().unwrap_or(&Identity::default()));
    let known = index.resolve(&stated).unwrap_or_default();
    let several = stated.moves() || conflict.is_some() || known.len() > 1;
    // What cannot be read now is met again when the message is decided about.
    keys.extend(known.iter().map(|patient| OrderKey::from(patient.to_string())));
    // A message without PID is left to the script, which may have no use for its kind.
    let nobody =
        identity.as_ref().is_some_and(Identity::is_nobody) && message.segment("PID", 1).is_some();
    let parked = unread
        .or(conflict)
        .or_else(|| intolerable(as_sent.as_ref().unwrap_or(&message), source))
        .or_else(|| site::unknown(&message, source))
        .or(nobody.then_some("identity.none"));
    let identity = identity.map(|mut identity| {
        identity.quality.extend(noticed);
        Arc::new(identity)
    });
    let (message, stated) = (Some((message, header)), Some(stated));
    let found = Identified { frame, message, as_sent, identity, stated, keys, several, parked };
    found.unless_waited_for_by_nobody()
}

/// The same of a message that was refused before it was kept: no script sees it unless its channel
/// has come to accept it.
pub(crate) fn unless_refused(channel: &Arc<ChannelPlan>, identified: Identified) -> Identified {
    let header = identified.message.as_ref().map(|(_, header)| header);
    match header.map(|header| accept::decide(header, slice::from_ref(channel))) {
        Some(Rules::Refuse(refusal, _)) => {
            let parked = refusal.parked().or(identified.parked);
            Identified { parked, ..identified }.unless_waited_for_by_nobody()
        }
        _ => identified,
    }
}

/// The same of a message that we made ourselves, since a person takes a merge back by it: what its
/// channel expects of its senders is nothing to it, and it waits for both whom it is about.
pub fn taking_back(identified: Identified, retired: &Asked, index: &Index) -> Identified {
    let mut keys = identified.keys;
    // Where nothing is to be taken back any more, the decision about it says so.
    if let Ok(decision) = index.unmerge(0, 0, retired) {
        let both = decision.patient.into_iter().chain(decision.others);
        keys.extend(both.map(|patient| OrderKey::from(patient.to_string())));
    }
    let parked = identified.parked.filter(|_| identified.identity.is_none());
    Identified { keys, several: true, parked, ..identified }
}

/// Why a message must not be read as it came, if its source is not known for sending such.
pub fn intolerable(message: &Message, source: &Source) -> Option<&'static str> {
    let found = message.tolerated();
    let unwanted = || found.deviations().find(|deviation| !source.tolerates(*deviation));
    let charset = match (found.wrong_charset, found.assumed_charset) {
        _ if source.wrong_charset != WrongCharset::Park => None,
        (true, _) => Some("charset.wrong"),
        (false, assumed) => assumed.then_some("charset.unknown"),
    };
    let structure = found.fragment().or_else(unwanted).map(Deviation::code);
    structure.or(charset)
}
