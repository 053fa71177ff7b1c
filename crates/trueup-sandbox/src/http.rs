//! The HTTPS front: connections, who is calling, paths, content negotiation, answers.

pub mod credentials;
pub mod negotiate;
pub mod path;
pub mod query;
