//! What systemd is told, and what it hands over. Without systemd nothing
//! happens: it speaks through variables that are then not set.

use super::exit::{Exit, Failure};
use crate::server::Drain;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::{convert::Infallible, net::TcpListener, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// What a stop takes beside the drain: the last bytes, the budgets to disk.
const STOP_SPARE: Duration = Duration::from_secs(10);

/// The socket that systemd listens on for us, if it does (`LISTEN_FDS`).
///
/// # Errors
/// When what it hands over is no TCP socket that listens.
pub fn socket() -> Result<Option<TcpListener>, Failure> {
    let unusable = |error| {
        Failure::new(
            Exit::Failed,
            format!("the socket from systemd cannot be used: {error}"),
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

/// Says that the service is ready, that it lives as long as it does, and once
/// the drain begins that it stops, and how long that may take. Never ends.
pub async fn report(drain: Drain, drain_timeout: Duration) -> Infallible {
    tell(&[NotifyState::Ready]);
    let alive = async {
        let Some(limit) = sd_notify::watchdog_enabled() else {
            return std::future::pending().await;
        };
        // Half the limit, as sd_watchdog_enabled(3) advises. That this runs
        // shows that the runtime still gives tasks their turn.
        let mut ticks = interval((limit / 2).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            tell(&[NotifyState::Watchdog]);
        }
    };
    let stopping = async {
        drain.begun().await;
        // The unit's TimeoutStopSec does not know the configuration.
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

/// A service that cannot tell goes on: systemd then restarts it, when it
/// waits for a word.
fn tell(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
