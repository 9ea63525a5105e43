//! What watches the service, and what it writes.

use super::exit::{Exit, Failure, address_unknown};
use crate::{
    access::Refusals,
    admin::{self, Admin, AdminConfig},
    config::{Config, Environment},
    pricing::PriceTable,
    secrets::Reload,
    server::Drain,
    store::StoreHealth,
    telemetry::{self, LogGuard, Telemetry, TelemetryError, TelemetryGuard},
    upstream::Upstream,
};
use std::{convert::Infallible, sync::Arc, time::Duration};

/// How long the last spans and figures may take on their way to the collector.
const LAST_EXPORT: Duration = Duration::from_secs(5);

/// What watches the service, and what it writes.
pub struct Observability {
    /// Observes calls.
    pub telemetry: Telemetry,
    running: TelemetryGuard,
    logs: LogGuard,
}

impl Observability {
    /// Starts what the configuration and the `OTEL_*` variables ask for.
    ///
    /// # Errors
    /// When they name what cannot be used.
    pub fn start(config: &Config, environment: &Environment) -> Result<Self, Failure> {
        let variable = |name: &str| Some(environment.get(name)?.to_str()?.to_owned());
        let settings = telemetry::OtelSettings::read(&variable);
        let ignored = settings.ignored.clone();
        let failure = |error: TelemetryError| Failure::usage(error.to_string());
        let models = &config.service.allowed_models;
        let (telemetry, running) = Telemetry::start(
            &config.telemetry,
            PriceTable::new(config.limits.prices.clone()),
            models,
            settings,
        )
        .map_err(failure)?;
        let logs = running
            .init_logs(&config.log, &telemetry)
            .map_err(failure)?;
        for problem in ignored {
            tracing::warn!(problem, "a variable was ignored");
        }
        Ok(Observability {
            telemetry,
            running,
            logs,
        })
    }

    /// What there is to observe.
    pub fn of(
        &self,
        upstream: Upstream,
        drain: &Drain,
        reloads: Vec<Arc<dyn Reload>>,
        refusals: Option<Refusals>,
        store: Option<StoreHealth>,
    ) -> admin::ServiceView {
        admin::ServiceView {
            telemetry: self.telemetry.clone(),
            upstream,
            drain: drain.clone(),
            log_level: Some(self.logs.level()),
            reloads,
            refusals,
            store: store.unwrap_or_default(),
        }
    }

    /// The admin port, if there is to be one.
    ///
    /// # Errors
    /// When its configured address cannot be listened on.
    pub async fn admin(
        &self,
        config: &AdminConfig,
        observed: admin::ServiceView,
    ) -> Result<Option<Admin>, Failure> {
        observed.add_gauges();
        if !config.enabled {
            return Ok(None);
        }
        let listen = config.listen.unwrap_or(admin::DEFAULT_LISTEN);
        match Admin::bind(listen, observed).await {
            Ok(admin) => {
                let address = admin.local_addr().map_err(address_unknown)?;
                tracing::info!(%address, "the admin port is open");
                Ok(Some(admin))
            }
            Err(error) if config.listen.is_none() => {
                tracing::warn!(%listen, %error, "no admin port: set admin.listen to have one");
                Ok(None)
            }
            Err(error) => {
                let reason = format!("cannot listen on {listen} (admin.listen): {error}");
                Err(Failure::new(Exit::Failed, reason))
            }
        }
    }

    /// Sends what is still to be told.
    pub async fn shut_down(self) {
        self.running.shut_down(LAST_EXPORT).await;
    }
}

/// Serves the admin port, if there is one, until dropped.
pub async fn serve_admin(admin: Option<Admin>) -> Infallible {
    if let Some(admin) = admin {
        admin.run().await;
    }
    std::future::pending().await
}
