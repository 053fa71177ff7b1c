//! `trueup crds`: what a cluster needs before the controller starts.

use crate::failure::{Ending, Failure};
use crate::output;

pub fn run() -> Result<Ending, Failure> {
    output::print(&trueup_api::crd::crds_yaml());
    Ok(Ending::Done)
}
