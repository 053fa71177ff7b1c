//! What tests and the story runner share: worlds to run in.

pub mod controlplane;
pub mod faults;
pub mod git;
pub mod http;
pub mod story;
