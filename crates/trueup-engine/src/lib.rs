//! Decides: what Git wants, what is live, how they pair, what differs and why, what policy makes of it, and the plan.
//!
//! Pure: values in, values out. Modules in reading order: the application, where its manifests come from, its targets,
//! what is live, pairing, the words for what was found, one look at an application, policy and plan, the operation.

pub mod app;
pub mod autoscaler;
pub mod class;
pub mod condition;
pub mod confirm;
pub mod desired;
pub mod difference;
pub mod evidence;
pub mod fight;
pub mod ignore;
pub mod lint;
pub mod live;
pub mod look;
pub mod memory;
pub mod older_tool;
pub mod operation;
pub mod pair;
pub mod plan;
pub mod policy;
pub mod settings;
pub mod source;
pub mod status;
pub mod traceless;
pub mod tracking;
pub mod unsupported;
pub mod weight;

#[cfg(test)]
mod closed_loop;
#[cfg(test)]
mod fixture;
