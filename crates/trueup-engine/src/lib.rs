//! Decides: targets, live objects, pairing, classification, statuses, policy and plans.
//!
//! Pure: values in, values out. Also owns the types that two shells share, so that shells need not meet.

pub mod source;
