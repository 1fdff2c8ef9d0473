//! The board as numbers for Prometheus, through OpenTelemetry: each instrument looks at the state of its scrape.

use crate::runtime::live::state::{DaemonState, Phase, SourceEntry, SourceKind};
use chrono::DateTime;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder, Registry, TextEncoder};
use std::sync::{Arc, Mutex, PoisonError};

/// Why there are no numbers.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The exporter.
    #[error("the metrics cannot be exported: {0}")]
    Exporter(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// The encoder.
    #[error("the metrics cannot be written: {0}")]
    Encoder(#[from] prometheus::Error),
}

/// Takes a value with its labels.
type Observe<'o> = &'o mut dyn FnMut(f64, &[(&'static str, &str)]);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It only grows, as long as the process runs.
    Counter,
    Gauge,
}

/// One metric. Counters get `_total` at the end of their names.
struct Metric {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    observe: fn(&DaemonState, Observe<'_>),
}

const METRICS: &[Metric] = &[
    Metric {
        name: "throughline_ready",
        help: "1 while everything is watched: recovered, all sources deliver, nothing is in trouble",
        kind: Kind::Gauge,
        observe: |state, observe| observe(f64::from(state.ready), &[]),
    },
    Metric {
        name: "throughline_recovering",
        help: "1 while the journal is read after a start",
        kind: Kind::Gauge,
        observe: |state, observe| observe(f64::from(state.phase == Phase::Recovering), &[]),
    },
    Metric {
        name: "throughline_start_time_seconds",
        help: "when the daemon was started, in seconds since 1970",
        kind: Kind::Gauge,
        observe: |state, observe| seconds(Some(&state.started_at)).into_iter().for_each(|at| observe(at, &[])),
    },
    Metric {
        name: "throughline_source_up",
        help: "1 while the source delivers without trouble",
        kind: Kind::Gauge,
        observe: |state, observe| {
            each_source(state, observe, |source| Some(f64::from(source.state == SourceKind::Up)));
        },
    },
    Metric {
        name: "throughline_source_progress_timestamp_seconds",
        help: "everything that happened before has been delivered, in seconds since 1970",
        kind: Kind::Gauge,
        observe: |state, observe| each_source(state, observe, |source| seconds(source.progress.as_ref())),
    },
    Metric {
        name: "throughline_source_lag_seconds",
        help: "how far the source's progress is behind the present; its lateness is in it",
        kind: Kind::Gauge,
        observe: |state, observe| {
            each_source(state, observe, |source| source.lag_ms.map(|millis| millis as f64 / 1e3));
        },
    },
    Metric {
        name: "throughline_source_records",
        help: "records that the source has delivered",
        kind: Kind::Counter,
        observe: |state, observe| each_source(state, observe, |source| Some(source.records as f64)),
    },
    Metric {
        name: "throughline_source_matched_records",
        help: "records that matched a step",
        kind: Kind::Counter,
        observe: |state, observe| each_source(state, observe, |source| Some(source.matched as f64)),
    },
    Metric {
        name: "throughline_source_beyond_lateness_records",
        help: "records that came later than the source's lateness allows",
        kind: Kind::Counter,
        observe: |state, observe| each_source(state, observe, |source| Some(source.beyond_lateness as f64)),
    },
    Metric {
        name: "throughline_source_undecodable_records",
        help: "records that could not be read, by reason",
        kind: Kind::Counter,
        observe: |state, observe| {
            for source in &state.sources {
                for (reason, entry) in &source.undecodable {
                    observe(entry.count as f64, &[("source", &source.source), ("reason", reason)]);
                }
            }
        },
    },
    Metric {
        name: "throughline_source_gaps",
        help: "spans in which records may be missing",
        kind: Kind::Counter,
        observe: |state, observe| each_source(state, observe, |source| Some(source.gaps as f64)),
    },
    Metric {
        name: "throughline_lane_up",
        help: "1 while the lane can make durable what it is given",
        kind: Kind::Gauge,
        observe: |state, observe| {
            state.lanes.iter().for_each(|lane| observe(f64::from(lane.trouble.is_none()), &[("flow", &lane.flow)]));
        },
    },
    Metric {
        name: "throughline_lane_journal_bytes",
        help: "how large the lane's journal is on disk",
        kind: Kind::Gauge,
        observe: |state, observe| {
            state.lanes.iter().for_each(|lane| observe(lane.journal_bytes as f64, &[("flow", &lane.flow)]));
        },
    },
    Metric {
        name: "throughline_lane_journal_entries",
        help: "durable entries of the lane's journal, counted from its beginning",
        kind: Kind::Gauge,
        observe: |state, observe| {
            state.lanes.iter().for_each(|lane| observe(lane.journal_entries as f64, &[("flow", &lane.flow)]));
        },
    },
    Metric {
        name: "throughline_transactions",
        help: "transactions by state: open (in memory), and consistent, inconsistent, undecided when last judged",
        kind: Kind::Gauge,
        observe: |state, observe| {
            for flow in &state.lanes {
                let undecided: u64 = flow.undecided.values().sum();
                let states = [
                    ("open", flow.open),
                    ("consistent", flow.consistent),
                    ("inconsistent", flow.inconsistent),
                    ("undecided", undecided),
                ];
                states.iter().for_each(|(word, n)| observe(*n as f64, &[("flow", &flow.flow), ("state", word)]));
            }
        },
    },
    Metric {
        name: "throughline_limit_hits",
        help: "how often a limit of a flow was hit",
        kind: Kind::Gauge,
        observe: |state, observe| {
            for flow in &state.lanes {
                flow.limits.iter().for_each(|(limit, n)| observe(*n as f64, &[("flow", &flow.flow), ("limit", limit)]));
            }
        },
    },
    Metric {
        name: "throughline_findings",
        help: "findings that are kept, by kind",
        kind: Kind::Gauge,
        observe: |state, observe| {
            for counted in &state.findings {
                let labels: [(&'static str, &str); 5] = [
                    ("flow", &counted.flow),
                    ("check", &counted.check),
                    ("class", &counted.class),
                    ("severity", &counted.severity),
                    ("status", &counted.status),
                ];
                observe(counted.count as f64, &labels);
            }
        },
    },
    Metric {
        name: "throughline_findings_up",
        help: "1 while findings can be kept",
        kind: Kind::Gauge,
        observe: |state, observe| observe(f64::from(state.findings_trouble.is_none()), &[]),
    },
    Metric {
        name: "throughline_webhook_up",
        help: "1 while the receiver takes what it is sent",
        kind: Kind::Gauge,
        observe: |state, observe| state.webhook.iter().for_each(|webhook| observe(f64::from(webhook.up), &[])),
    },
    Metric {
        name: "throughline_webhook_sent_findings",
        help: "findings that the receiver has taken",
        kind: Kind::Counter,
        observe: |state, observe| state.webhook.iter().for_each(|webhook| observe(webhook.sent as f64, &[])),
    },
    Metric {
        name: "throughline_webhook_refused_findings",
        help: "findings that the receiver refused, which were passed over",
        kind: Kind::Counter,
        observe: |state, observe| state.webhook.iter().for_each(|webhook| observe(webhook.refused as f64, &[])),
    },
];

/// The metrics as a documentation lists them: name and meaning.
pub fn documented() -> impl Iterator<Item = (String, &'static str)> {
    METRICS.iter().map(|metric| {
        let total = if metric.kind == Kind::Counter { "_total" } else { "" };
        (format!("{}{total}", metric.name), metric.help)
    })
}

fn each_source(state: &DaemonState, observe: Observe<'_>, value: impl Fn(&SourceEntry) -> Option<f64>) {
    for source in &state.sources {
        value(source).into_iter().for_each(|value| observe(value, &[("source", &source.source)]));
    }
}

/// A moment in seconds since 1970.
fn seconds(moment: Option<&String>) -> Option<f64> {
    let at = DateTime::parse_from_rfc3339(moment?).ok()?;
    Some(at.timestamp_micros() as f64 / 1e6)
}

/// The instruments, and what they look at.
pub(super) struct Metrics {
    registry: Registry,
    state: Arc<Mutex<Option<DaemonState>>>,
    /// It holds the instruments.
    _provider: SdkMeterProvider,
}

impl Metrics {
    pub(super) fn new() -> Result<Metrics, MetricsError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let meter = provider.meter("throughline");
        let state = Arc::default();
        METRICS.iter().for_each(|metric| instrument(metric, &meter, &state));
        Ok(Metrics { registry, state, _provider: provider })
    }

    /// The numbers of a state, as Prometheus reads them.
    pub(super) fn text(&self, state: DaemonState) -> Result<Vec<u8>, MetricsError> {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn instrument(metric: &'static Metric, meter: &Meter, state: &Arc<Mutex<Option<DaemonState>>>) {
    let state = state.clone();
    let look = move |out: &mut dyn FnMut(f64, &[KeyValue])| {
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = state.as_ref() else { return };
        (metric.observe)(state, &mut |value, labels| {
            let labels: Vec<_> = labels.iter().map(|(name, value)| KeyValue::new(*name, value.to_string())).collect();
            out(value, &labels);
        });
    };
    match metric.kind {
        Kind::Counter => drop(
            meter
                .f64_observable_counter(metric.name)
                .with_description(metric.help)
                .with_callback(move |observer| look(&mut |value, labels| observer.observe(value, labels)))
                .build(),
        ),
        Kind::Gauge => drop(
            meter
                .f64_observable_gauge(metric.name)
                .with_description(metric.help)
                .with_callback(move |observer| look(&mut |value, labels| observer.observe(value, labels)))
                .build(),
        ),
    }
}
