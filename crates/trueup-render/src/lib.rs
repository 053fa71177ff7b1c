//! Turns the files of a source into manifests.
//!
//! This build renders plain directories (YAML and JSON). What it cannot render it names; it never takes the files of a
//! chart or of a kustomization for manifests. Pure functions over a [`SourceTree`]: the same tree gives the same
//! manifests in the same order.
//!
//! [`SourceTree`]: trueup_engine::source::SourceTree

mod directory;
mod glob;
mod kind;

pub use directory::{BYTES_MAX, Problem, RenderError, Rendering, read_filter, render};
pub use glob::{Glob, GlobError};
