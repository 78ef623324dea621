//! Where messages arrive: the address, the limits, TLS.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::measure::{Address, Period, Size};
use crate::config::secret::Secret;

/// Where messages arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Listener {
    /// HL7's minimal lower layer protocol over TCP.
    Mllp(Mllp),
}

/// HL7's minimal lower layer protocol over TCP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mllp {
    /// The address to listen on.
    pub listen: Address,
    /// The largest frame; a larger one is refused with AR and the connection stays.
    #[serde(default = "Mllp::max_frame")]
    pub max_frame: Size,
    /// Whether the end block character (FS, 0x1C) may be missing. `optional` also ends a frame
    /// where the next one begins, or after two seconds of silence behind a segment; a message that
    /// was cut off there is then taken for whole.
    #[serde(default)]
    pub end_block: EndBlock,
    /// How long a connection may say nothing before it is closed.
    #[serde(default = "Mllp::idle")]
    pub idle: Period,
    /// How many connections may be open at once.
    #[serde(default = "Mllp::connections")]
    pub connections: u32,
    /// How long a sender may leave its acknowledgements unread before the connection is closed.
    #[serde(default = "Mllp::write_timeout")]
    pub write_timeout: Period,
    /// Whether frames are answered as release 2 of MLLP has it: by one byte, 0x06 once a frame is
    /// stored and 0x15 where it is refused.
    #[serde(default)]
    pub commit_byte: CommitByte,
    /// TLS, 1.2 or 1.3; plain TCP unless given.
    pub tls: Option<Tls>,
}

/// Whether a frame is answered by the commit byte of MLLP release 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommitByte {
    /// By an acknowledgement, as in release 1.
    #[default]
    Never,
    /// By the byte and nothing else.
    Alone,
    /// By the byte, and then by the acknowledgement that is due.
    WithAcknowledgement,
}

/// Whether the end block character (FS, 0x1C) of a frame may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndBlock {
    /// A frame without it has not ended.
    #[default]
    Required,
    /// A frame without it ends where the next one begins, or with silence.
    Optional,
}

/// How a listener proves who it is, and who may connect. The files are read at start and at every
/// reload; connections that are open keep what they began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A PEM file: the listener's own certificate, then those that signed it.
    pub certificate: PathBuf,
    /// Its private key, PEM without a passphrase: `{ file: path }`, `{ credential: name }` or
    /// `{ env: NAME }`.
    pub key: Secret,
    /// A PEM file of authorities: only who shows a certificate that one of them signed may connect.
    /// Anybody may unless given.
    pub clients: Option<PathBuf>,
}

impl Mllp {
    fn max_frame() -> Size {
        Size(32 << 20)
    }

    fn idle() -> Period {
        Period(Duration::from_mins(10))
    }

    fn connections() -> u32 {
        256
    }

    fn write_timeout() -> Period {
        Period(Duration::from_secs(30))
    }
}
