//! Identities of commits, trees and blobs: SHA-1, as Git names them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

const BYTES: usize = 20;

/// A text is not forty hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("read an object id: it has not forty hexadecimal digits")]
pub struct IdError;

macro_rules! object_id {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; BYTES]);

        impl $name {
            pub fn from_bytes(bytes: [u8; BYTES]) -> Self {
                Self(bytes)
            }

            pub fn as_bytes(&self) -> &[u8; BYTES] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

object_id!(CommitId, "A commit.");
object_id!(TreeId, "A directory's content, names and modes included.");
object_id!(BlobId, "A file's content.");

impl CommitId {
    /// The first seven digits, as people write commits.
    pub fn short(&self) -> String {
        self.to_string().chars().take(7).collect()
    }
}

fn parse(text: &str) -> Result<[u8; BYTES], IdError> {
    let digits = text.as_bytes();
    if digits.len() != BYTES * 2 {
        return Err(IdError);
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return Err(IdError) };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(bytes)
}

fn digit(letter: u8) -> Result<u8, IdError> {
    match letter {
        b'0'..=b'9' => Ok(letter - b'0'),
        b'a'..=b'f' => Ok(letter - b'a' + 10),
        b'A'..=b'F' => Ok(letter - b'A' + 10),
        _ => Err(IdError),
    }
}
