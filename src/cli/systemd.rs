//! Integration with systemd: socket activation, readiness and the watchdog. It
//! is controlled by variables that systemd sets; without them it does nothing.

use super::exit::{Exit, Failure};
use crate::server::Drain;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::{convert::Infallible, net::TcpListener, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// Time that a stop may take in addition to the drain: sending the last bytes,
/// writing the budgets to disk.
const STOP_SPARE: Duration = Duration::from_secs(10);

/// The listening socket that systemd passed (`LISTEN_FDS`), if any.
///
/// # Errors
/// [`Exit::Failed`] when it is not a listening TCP socket.
pub fn socket() -> Result<Option<TcpListener>, Failure> {
    let unusable = |error| {
        Failure::new(
            Exit::Failed,
            format!("failed to use the socket from systemd: {error}"),
        )
    };
    let socket = ListenFd::from_env()
        .take_tcp_listener(0)
        .map_err(unusable)?;
    if let Some(socket) = &socket {
        socket.set_nonblocking(true).map_err(unusable)?;
    }
    Ok(socket)
}

/// Notifies systemd that the service is ready, then feeds the watchdog, and once
/// the drain begins announces the stop and its maximum duration. Never returns.
pub async fn report(drain: Drain, drain_timeout: Duration) -> Infallible {
    tell(&[NotifyState::Ready]);
    let alive = async {
        let Some(limit) = sd_notify::watchdog_enabled() else {
            return std::future::pending().await;
        };
        // Half the limit, as sd_watchdog_enabled(3) advises. That this task runs
        // proves that the runtime still schedules tasks.
        let mut ticks = interval((limit / 2).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            tell(&[NotifyState::Watchdog]);
        }
    };
    let stopping = async {
        drain.begun().await;
        // TimeoutStopSec of the unit does not depend on the configuration.
        let longest = (drain_timeout + STOP_SPARE).as_micros();
        let longest = u32::try_from(longest).unwrap_or(u32::MAX);
        tell(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(longest),
        ]);
        std::future::pending().await
    };
    tokio::select! {
        never = alive => never,
        never = stopping => never,
    }
}

/// Sends a notification. The service continues if that fails: if systemd waits
/// for the notification, it restarts the service.
fn tell(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "failed to notify systemd");
    }
}
