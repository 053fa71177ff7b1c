//! The HTTPS front: connections, who is calling, paths, content negotiation, answers.

mod changing;
pub mod credentials;
mod documents;
mod followed;
mod health;
mod impersonation;
mod listen;
mod metrics;
pub mod negotiate;
mod options;
pub(crate) mod outbound;
pub mod path;
pub mod present;
pub mod protobuf;
pub mod query;
mod removal;
mod reply;
mod resource;
mod serve;
mod subresource;
mod tokens;
mod verb;
mod watching;

pub use documents::Documents;
pub use listen::{ListenError, Listener};
pub use reply::Body;
pub use serve::Front;
