//! What `send` and `listen` share of a peer: how it is secured, and how badly it behaves.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::argument_values::duration;
use crate::misbehaviour::{Kinds, Wanted};

/// TLS of a sender.
#[derive(Clone, Debug, Args)]
pub(crate) struct SendTls {
    /// Speaks TLS, and sends only to a receiver whose certificate is trusted for its HOST
    #[arg(long)]
    pub(crate) tls: bool,

    /// A PEM file of the authorities that are trusted, instead of those of this machine
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub(crate) ca: Option<PathBuf>,

    /// A PEM file: the certificate to show to a receiver that asks for one
    #[arg(long, value_name = "FILE", requires = "tls", requires = "key")]
    pub(crate) cert: Option<PathBuf>,

    /// A PEM file: its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

/// TLS of a receiver.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListenTls {
    /// Speaks TLS with this certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,

    /// A PEM file: its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// A PEM file of authorities: only senders with a certificate of theirs may connect
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) ca: Option<PathBuf>,
}

/// How badly a sender behaves. A message that has to be sent again is framed well.
#[derive(Clone, Debug, Args)]
pub(crate) struct SendManners {
    /// Misbehaves on purpose with every message, or with a share of them as in half-frame:5%,reset:1%;
    /// what has to be sent again is framed well
    #[arg(long, value_name = "KIND[:SHARE]", value_delimiter = ',', value_parser = Kinds::OfSenders)]
    pub(crate) misbehave: Vec<Wanted>,

    /// Chooses the messages that --misbehave strikes; the same seed chooses the same
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
}

/// How badly a receiver behaves.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListenManners {
    /// Misbehaves on purpose with every answer, or with a share of them as in late-ack:10%,no-ack:1%
    #[arg(long, value_name = "KIND[:SHARE]", value_delimiter = ',', value_parser = Kinds::OfReceivers)]
    pub(crate) misbehave: Vec<Wanted>,

    /// How late the answers of late-ack are
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) late: Duration,

    /// Chooses the answers that --misbehave strikes; the same seed chooses the same
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
}
