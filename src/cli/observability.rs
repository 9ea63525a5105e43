//! Metrics, traces, logs and the admin port, from the configuration.

use super::exit::{Exit, Failure, address_unknown};
use crate::{
    access::Refusals,
    admin::{self, Admin, AdminConfig},
    config::{Config, Environment},
    models::{Day, PriceTable},
    response_cache::ResponseCache,
    secrets::Reload,
    server::Server,
    store::StoreHealth,
    telemetry::{self, LogGuard, Telemetry, TelemetryError, TelemetryGuard},
    upstream::Upstream,
};
use std::{convert::Infallible, sync::Arc, time::Duration};

/// Maximum time to export the last spans and metrics on shutdown.
const LAST_EXPORT: Duration = Duration::from_secs(5);

/// The running telemetry of the service.
pub struct Observability {
    /// Records calls, for metrics, spans and the log.
    pub telemetry: Telemetry,
    running: TelemetryGuard,
    logs: LogGuard,
}

impl Observability {
    /// Starts telemetry as the configuration and the `OTEL_*` variables specify.
    ///
    /// # Errors
    /// [`Exit::Usage`] when one of their values is invalid.
    pub fn start(config: &Config, environment: &Environment) -> Result<Self, Failure> {
        let variable = |name: &str| Some(environment.get(name)?.to_str()?.to_owned());
        let settings = telemetry::OtelSettings::read(&variable);
        let ignored = settings.ignored.clone();
        let failure = |error: TelemetryError| Failure::usage(error.to_string());
        let models = &config.service.allowed_models;
        let (telemetry, running) = Telemetry::start(
            &config.telemetry,
            PriceTable::new(&config.limits.prices, Day::today()),
            models,
            settings,
        )
        .map_err(failure)?;
        let logs = running
            .init_logs(&config.log, &telemetry)
            .map_err(failure)?;
        for problem in ignored {
            tracing::warn!(problem, "ignoring a variable");
        }
        for model in config.service.models() {
            if let Some(metrics) = telemetry.metrics() {
                metrics.retirements.note(model);
            }
        }
        Ok(Observability {
            telemetry,
            running,
            logs,
        })
    }

    /// Collects the parts of the service that the admin port shows.
    pub fn of(
        &self,
        upstream: Upstream,
        server: &Server,
        reloads: Vec<Arc<dyn Reload>>,
        refusals: Option<Refusals>,
        store: Option<StoreHealth>,
        responses: Option<ResponseCache>,
    ) -> admin::ServiceView {
        admin::ServiceView {
            telemetry: self.telemetry.clone(),
            upstream,
            drain: server.drain(),
            messages: server.messages(),
            log_level: Some(self.logs.level()),
            reloads,
            refusals,
            responses,
            store: store.unwrap_or_default(),
        }
    }

    /// Opens the admin port, if it is enabled. If its default address is in use,
    /// the service runs without one.
    ///
    /// # Errors
    /// [`Exit::Failed`] when the configured address cannot be bound.
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
        match Admin::bind(config, observed).await {
            Ok(admin) => {
                let address = admin.local_addr().map_err(address_unknown)?;
                tracing::info!(%address, "admin port listening");
                Ok(Some(admin))
            }
            Err(error) if config.listen.is_none() => {
                tracing::warn!(%listen, %error, "failed to open the admin port; set admin.listen to another address");
                Ok(None)
            }
            Err(error) => {
                let reason = format!("failed to listen on {listen} (admin.listen): {error}");
                Err(Failure::new(Exit::Failed, reason))
            }
        }
    }

    /// Exports the remaining spans and metrics.
    pub async fn shut_down(self) {
        self.running.shut_down(LAST_EXPORT).await;
    }
}

/// Serves the admin port, if it is open, until dropped.
pub async fn serve_admin(admin: Option<Admin>) -> Infallible {
    if let Some(admin) = admin {
        admin.run().await;
    }
    std::future::pending().await
}
