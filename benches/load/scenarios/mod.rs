//! What is run.

pub mod checklist;
pub mod failover;
pub mod faults;
pub mod outage;
pub mod overhead;
pub mod pool;
pub mod quota;
pub mod replicas;
pub mod soak;
