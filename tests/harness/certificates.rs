//! An authority of a story's own, and certificates that it signed.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Signs certificates; each is written as PEM into one folder.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    /// Its own certificate, what the other side has to trust.
    pub(crate) path: String,
}

impl Authority {
    /// An authority whose own certificate is `NAME.pem` in that folder.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let own = params.self_signed(&key).expect("a certificate");
        let path = write(folder, &format!("{name}.pem"), &own.pem());
        Self { issuer: Issuer::new(params, key), folder: folder.to_owned(), path }
    }

    /// Writes `NAME.pem` and `NAME.key` for this machine, over those that are there; gives back
    /// their paths.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let hosts = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(hosts).expect("names of this machine");
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let own = params.signed_by(&key, &self.issuer).expect("a certificate");
        let certificate = write(&self.folder, &format!("{name}.pem"), &own.pem());
        (certificate, write(&self.folder, &format!("{name}.key"), &key.serialize_pem()))
    }
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the folder can be written");
    path.to_str().expect("a path of letters").to_owned()
}
