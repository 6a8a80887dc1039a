//! Checksums of received bytes: the S3 algorithms, compared with what the client declared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A checksum algorithm of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name used in `x-amz-sdk-checksum-algorithm` and in XML.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header (or trailer) that carries the value.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn from_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.header().eq_ignore_ascii_case(name.trim()))
    }

    /// The parameters of a CRC, and its size in bytes.
    fn crc(self) -> Option<(CrcAlgorithm, usize)> {
        match self {
            Self::Crc32 => Some((CrcAlgorithm::Crc32IsoHdlc, 4)),
            Self::Crc32c => Some((CrcAlgorithm::Crc32Iscsi, 4)),
            Self::Crc64Nvme => Some((CrcAlgorithm::Crc64Nvme, 8)),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// Whether the checksum of a whole object follows from those of its parts.
    pub(crate) fn is_crc(self) -> bool {
        self.crc().is_some()
    }
}

/// A checksum being computed.
pub(crate) enum Hasher {
    Crc(crc_fast::Digest, usize),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match (algorithm, algorithm.crc()) {
            (_, Some((crc, size))) => Self::Crc(crc_fast::Digest::new(crc), size),
            (Algorithm::Sha1, _) => Self::Sha1(sha1::Sha1::new()),
            _ => Self::Sha256(sha2::Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Crc(d, _) => d.update(data),
            Self::Sha1(d) => d.update(data),
            Self::Sha256(d) => d.update(data),
        }
    }

    /// The value in the protocol's base64 form.
    pub(crate) fn finish(self) -> String {
        match self {
            Self::Crc(d, size) => crc_text(d.finalize(), size),
            Self::Sha1(d) => STANDARD.encode(d.finalize()),
            Self::Sha256(d) => STANDARD.encode(d.finalize()),
        }
    }
}

fn crc_text(value: u64, size: usize) -> String {
    STANDARD.encode(&value.to_be_bytes()[8 - size..])
}

fn crc_value(text: &str) -> Option<u64> {
    let bytes = STANDARD.decode(text).ok().filter(|b| b.len() <= 8)?;
    Some(bytes.iter().fold(0, |v, b| (v << 8) | u64::from(*b)))
}

/// The checksum of the whole from the CRCs and lengths of its parts; none when one of them is malformed.
pub(crate) fn combine(algorithm: Algorithm, parts: &[(String, u64)]) -> Option<String> {
    let (crc, size) = algorithm.crc()?;
    let mut total: Option<u64> = None;
    for (text, len) in parts {
        let value = crc_value(text)?;
        total = Some(match total {
            None => value,
            Some(so_far) => crc_fast::checksum_combine(crc, so_far, value, *len),
        });
    }
    total.map(|v| crc_text(v, size))
}

/// The checksum over the parts' checksums, with the `-N` that marks it.
pub(crate) fn composite(algorithm: Algorithm, parts: &[(String, u64)]) -> Option<String> {
    let mut hasher = Hasher::new(algorithm);
    for (text, _) in parts {
        hasher.update(&STANDARD.decode(text).ok()?);
    }
    Some(format!("{}-{}", hasher.finish(), parts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(algorithm: Algorithm, data: &[u8]) -> String {
        let mut h = Hasher::new(algorithm);
        h.update(data);
        h.finish()
    }

    /// Published check values of "123456789".
    #[test]
    fn known_values() {
        let hex = |s: &str| crate::env::hex(&STANDARD.decode(s).unwrap());
        assert_eq!(hex(&of(Algorithm::Crc32, b"123456789")), "cbf43926");
        assert_eq!(hex(&of(Algorithm::Crc32c, b"123456789")), "e3069283");
        assert_eq!(hex(&of(Algorithm::Crc64Nvme, b"123456789")), "ae8b14860a799888");
        assert_eq!(hex(&of(Algorithm::Sha1, b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn parts_combine_to_the_whole() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let parts =
                [(of(algorithm, b"hello "), 6), (of(algorithm, b"wide "), 5), (of(algorithm, b"world"), 5)];
            assert_eq!(combine(algorithm, &parts), Some(of(algorithm, b"hello wide world")));
        }
        assert_eq!(combine(Algorithm::Sha256, &[(String::new(), 0)]), None);
    }
}
