//! What tests and the story runner share: a control plane on this machine, repositories, an HTTP client, a proxy that makes
//! faults, ports that are kept, a receiver for admission reviews, the published JSON Schemas, and stories. For development only: nothing of it is in the product.

pub mod controlplane;
pub mod faults;
pub mod git;
pub mod http;
pub mod json_schema;
pub mod port;
pub mod story;
pub mod webhook;
