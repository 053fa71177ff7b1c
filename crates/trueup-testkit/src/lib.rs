//! What tests and the story runner share: worlds to run in.

pub mod controlplane;
