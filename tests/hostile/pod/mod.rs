//! The attacks on a pod: the release binary with the settings of production, within
//! the memory of its pod. Each attack has a core of its own and 10 MB to send.
//!
//! They are ignored by default, since they take minutes and need the machine for
//! themselves. `.ci/nightly.d/75-attacks.sh` runs them, with a table of what was measured.

mod attacker;
mod cgroup;
mod cores;
mod floods;
mod good_client;
mod h2spec;
mod headers;
mod measure;
mod memory;
mod process;
mod slow;
mod table;
mod turns;
