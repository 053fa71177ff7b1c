//! Objects as compressed bytes: a parsed tree of a Pod costs fifty kilobytes, its compressed bytes one.
//!
//! Objects are small and resemble each other, so each is compressed as if it followed a text in which the usual kinds stand
//! with what API servers, controllers and managers write into them (`data/usual.json`). Packed bytes live no longer than the
//! process: they can only be read with the text that they were written with.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

/// Level 1: 28 us for a Pod, which is packed whenever it changes.
const LEVEL: i32 = 1;

/// Objects of the usual kinds as an API server gave them, one on a line.
const USUAL: &[u8] = include_bytes!("../data/usual.json");

static WRITTEN_AFTER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(USUAL, LEVEL));
static READ_AFTER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(USUAL));

thread_local! {
    // A context is hundreds of kilobytes: one for each thread, not one for each object.
    static PACKER: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::with_prepared_dictionary(&WRITTEN_AFTER).ok());
    static UNPACKER: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_prepared_dictionary(&READ_AFTER).ok());
}

/// Whether everything stays as it is.
static PLAIN: AtomicBool = AtomicBool::new(false);

/// From now on nothing is compressed in this process. A simulation has dozens of objects, each for a moment: what it would save is
/// nothing, and reading it again and again a tenth of its time.
pub fn leave_plain() {
    PLAIN.store(true, Ordering::Relaxed);
}

/// Bytes, compressed where that makes them fewer. Equal bytes are packed as equal ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed {
    bytes: Box<[u8]>,
    /// 0 where they are not compressed.
    unpacked_len: u32,
}

/// Compresses bytes; `None` where that does not make them fewer.
pub fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    if PLAIN.load(Ordering::Relaxed) {
        return None;
    }
    let packed = PACKER.with_borrow_mut(|packer| packer.as_mut()?.compress(bytes).ok());
    // A library that fails has run out of memory; the bytes themselves are then as good.
    packed.filter(|packed| packed.len() < bytes.len())
}

/// The bytes that were compressed to these; `None` where they were not.
pub fn unpack(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    UNPACKER.with_borrow_mut(|unpacker| unpacker.as_mut()?.decompress(packed, length).ok())
}

impl Packed {
    pub fn of(bytes: &[u8]) -> Self {
        match (pack(bytes), u32::try_from(bytes.len())) {
            (Some(packed), Ok(unpacked_len)) => Self { bytes: packed.into_boxed_slice(), unpacked_len },
            (Some(_) | None, Ok(_) | Err(_)) => Self { bytes: bytes.into(), unpacked_len: 0 },
        }
    }

    /// Empty where memory has gone bad: nothing that was packed here fails to be unpacked.
    pub fn bytes(&self) -> Vec<u8> {
        if self.unpacked_len == 0 {
            return self.bytes.to_vec();
        }
        unpack(&self.bytes, self.unpacked_len as usize).unwrap_or_default()
    }

    /// How many bytes are kept.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Content may be a Secret's.
impl std::fmt::Debug for Packed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} bytes", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let long = "abc".repeat(100_000);
        for text in ["", "a", "not one like the others", r#"{"apiVersion":"v1","kind":"Service"}"#, &long] {
            let packed = Packed::of(text.as_bytes());
            assert_eq!(packed.bytes(), text.as_bytes());
            assert!(packed.len() <= text.len());
        }
    }

    #[test]
    fn what_the_usual_kinds_have_costs_next_to_nothing() {
        let usual = USUAL.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        for line in usual {
            assert!(Packed::of(line).len() < line.len() / 4, "{}", String::from_utf8_lossy(line));
        }
    }
}
