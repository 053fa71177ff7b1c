//! Owns the workers, the timers and the clock; carries events into the engine and its plans out to the shells.
//!
//! One worker for each Application owns its state. It is woken without being told why, looks at everything, and does
//! what is to be done. Nothing is decided here: the engine decides.

mod appeared;
mod applications;
mod board;
mod clock;
mod complaints;
mod configured;
mod execute;
mod foreign;
mod inquiry;
mod installation;
mod mailbox;
mod packed;
mod past;
mod places;
mod record;
mod report;
mod routes;
mod run;
mod site;
mod sources;
mod staff;
mod state;
mod stores;
mod turn;
mod unreported;
mod updates;
mod watchdog;
mod worker;

pub use board::{AppCard, Board, DURATION_CLASSES_MS, Durations, Shown};
pub use clock::{Clock, OffsetClock, RuntimeClock, SharedClock, SystemClock};
pub use execute::{Execution, execute};
pub use record::Recorder;
pub use run::{LEASE, Options, StartError, run};
pub use stores::Stores;
pub use watchdog::Watchdog;
