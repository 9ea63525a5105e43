//! Rules and dashboards name only what the running service really emits.
