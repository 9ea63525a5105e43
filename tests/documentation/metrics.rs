//! The table of metrics in docs/telemetry.md.

use crate::{hold_section, row};
use claude_grpc::telemetry::names::{MetricKind, metric, prometheus};

#[test]
fn the_table_of_metrics_is_that_of_the_code() {
    let mut table = row(["Prometheus", "OpenTelemetry", "kind", "unit", "meaning"]);
    table.push_str("|---|---|---|---|---|\n");
    for metric in metric::ALL {
        let (kind, suffix) = match metric.kind {
            MetricKind::Counter => ("counter", "_total"),
            MetricKind::Gauge => ("gauge", ""),
            MetricKind::Histogram => ("histogram", ""),
        };
        table.push_str(&row([
            &format!("`{}{suffix}`", prometheus(metric)),
            &format!("`{}`", metric.name),
            kind,
            if metric.unit.is_empty() {
                "1"
            } else {
                metric.unit
            },
            metric.help,
        ]));
    }
    hold_section("docs/telemetry.md", "metrics", &table);
}
