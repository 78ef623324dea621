//! Ids made from names: the same name, the same id.

use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

/// The UUID version 5 of a name in a name space (RFC 9562, section 5.5).
pub fn name_based(space: &Uuid, name: &[u8]) -> Uuid {
    let hash = Sha1::new().chain_update(space).chain_update(name).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Builder::from_sha1_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9562, appendix A.4.
    #[test]
    fn the_example_of_the_standard() {
        let id = name_based(&Uuid::NAMESPACE_DNS, b"www.example.com");
        assert_eq!(id.to_string(), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    }
}
