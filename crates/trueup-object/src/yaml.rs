//! YAML read and written as Kubernetes does it.
//!
//! Reading has the meaning of `sigs.k8s.io/yaml` (go-yaml 2 and then JSON): `yes` is a boolean, `0644` is octal,
//! merge keys take effect in document order, of duplicate keys the last wins, keys become strings. Writing gives block
//! style with sorted keys; a string is quoted only where that reader would read it as something else.
//!
//! A stream is cut at its document markers before it is parsed, so that a syntax error spoils one document only.

mod build;
mod read;
mod scalar;
mod write;

#[cfg(test)]
mod tests;

pub use read::{DuplicateKey, YamlDocument, YamlError, read_documents};

/// How deep collections may nest, the same as in the JSON reader: what one of them reads, the other reads again.
const DEPTH_MAX: usize = 127;
