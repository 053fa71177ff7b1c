//! The names that are promised to outsiders: Application, its status, DriftReport, differences, and their conversion
//! to and from the engine's types.
//!
//! Objects are read and written by hand as [`trueup_object::Value`]: `kube-derive` cannot express an Application (it
//! drops the top-level `operation` and forces a status subresource, which Argo CD's has not).

pub mod annotations;
pub mod application;
pub mod convert;
pub mod crd;
pub mod difference;
pub mod drift_report;
mod fields;
pub mod report;
pub mod status;

pub use application::Application;
pub use convert::{Refusal, project_rules, project_said, read_app, to_app, unsupported_condition};
pub use fields::FieldError;
pub use report::operation_value;
