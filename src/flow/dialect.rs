//! What other tools write: formats that say themselves when a record happened, of what key and what kind it is, and
//! whose fields have names of their own.

/// A format of another tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Changes of rows, as Debezium's connectors tell them.
    Debezium {
        /// How columns are encoded, by name, where no schema says it.
        columns: Vec<(String, Encoding)>,
    },
    /// CNCF's CloudEvents: structured, binary, batched.
    CloudEvents,
    /// Celery's tasks and its events.
    Celery,
    /// BullMQ's events and jobs.
    BullMq,
    /// Messages of Spring AMQP.
    SpringAmqp,
    /// Spans of messaging, as OpenTelemetry's conventions have them.
    OtelMessaging,
    /// JMeter's results, as CSV or as XML.
    Jtl {
        /// Between columns.
        delimiter: u8,
    },
    /// The report of Newman's JSON reporter.
    Newman,
    /// An HTTP archive, of a browser or a proxy.
    Har,
    /// A JUnit report.
    Junit,
    /// The JSON lines of k6.
    K6,
    /// Gatling's `simulation.log`, as text.
    Gatling,
}

/// How a column's values are encoded, as Kafka Connect's and Debezium's schemas call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The number without its point, two's complement, in base64; so many digits stand behind the point.
    Decimal(u32),
    /// The same with the scale beside it.
    VariableDecimal,
    /// Days since 1970.
    Date,
    /// A time of day, in so many of these a second.
    Time(Unit),
    /// Local date and time since 1970, without a zone.
    Timestamp(Unit),
    /// A JSON document as text.
    Json,
}

/// Parts of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousands.
    Milli,
    /// Millions.
    Micro,
    /// Billions.
    Nano,
}

impl Unit {
    /// How many nanoseconds it is.
    pub fn nanos(self) -> i64 {
        match self {
            Unit::Milli => 1_000_000,
            Unit::Micro => 1_000,
            Unit::Nano => 1,
        }
    }
}

/// The dialects, as `format` names them.
pub const DIALECTS: [&str; 12] = [
    "debezium",
    "cloudevents",
    "celery",
    "bullmq",
    "spring-amqp",
    "otel-messaging",
    "jtl",
    "newman",
    "har",
    "junit",
    "k6",
    "gatling",
];

/// What `columns` may say of a column, as examples.
pub const ENCODINGS: &str =
    "decimal(2), date, time_ms, time_us, time_ns, timestamp_ms, timestamp_us, timestamp_ns or json";

impl Dialect {
    /// The dialect that `format` names, with nothing declared.
    pub fn named(name: &str) -> Option<Dialect> {
        Some(match name {
            "debezium" => Dialect::Debezium { columns: Vec::new() },
            "cloudevents" => Dialect::CloudEvents,
            "celery" => Dialect::Celery,
            "bullmq" => Dialect::BullMq,
            "spring-amqp" => Dialect::SpringAmqp,
            "otel-messaging" => Dialect::OtelMessaging,
            "jtl" => Dialect::Jtl { delimiter: b',' },
            "newman" => Dialect::Newman,
            "har" => Dialect::Har,
            "junit" => Dialect::Junit,
            "k6" => Dialect::K6,
            "gatling" => Dialect::Gatling,
            _ => return None,
        })
    }

    /// It tells every change of a row, deletes by the row's key alone.
    pub fn captures_changes(&self) -> bool {
        matches!(self, Dialect::Debezium { .. })
    }

    /// It is what a test tool found, told when a sample is complete: the records are in no order of their times.
    pub fn is_test_result(&self) -> bool {
        matches!(
            self,
            Dialect::Jtl { .. } | Dialect::Newman | Dialect::Har | Dialect::Junit | Dialect::K6 | Dialect::Gatling
        )
    }

    /// A file of it is one document with many records.
    pub fn is_document(&self) -> bool {
        matches!(self, Dialect::Newman | Dialect::Har | Dialect::Junit)
    }
}

impl Encoding {
    /// What `columns` says of a column.
    pub fn declared(text: &str) -> Option<Encoding> {
        Some(match text {
            "date" => Encoding::Date,
            "json" => Encoding::Json,
            "time_ms" => Encoding::Time(Unit::Milli),
            "time_us" => Encoding::Time(Unit::Micro),
            "time_ns" => Encoding::Time(Unit::Nano),
            "timestamp_ms" => Encoding::Timestamp(Unit::Milli),
            "timestamp_us" => Encoding::Timestamp(Unit::Micro),
            "timestamp_ns" => Encoding::Timestamp(Unit::Nano),
            other => {
                let scale = other.strip_prefix("decimal(")?.strip_suffix(')')?.trim();
                Encoding::Decimal(scale.parse().ok()?)
            }
        })
    }

    /// What a schema with this name says; `scale` stands among its parameters.
    pub fn of_schema(name: &str, scale: Option<u32>) -> Option<Encoding> {
        Some(match name {
            "org.apache.kafka.connect.data.Decimal" => Encoding::Decimal(scale?),
            "io.debezium.data.VariableScaleDecimal" => Encoding::VariableDecimal,
            "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Encoding::Date,
            "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => Encoding::Time(Unit::Milli),
            "io.debezium.time.MicroTime" => Encoding::Time(Unit::Micro),
            "io.debezium.time.NanoTime" => Encoding::Time(Unit::Nano),
            "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => {
                Encoding::Timestamp(Unit::Milli)
            }
            "io.debezium.time.MicroTimestamp" => Encoding::Timestamp(Unit::Micro),
            "io.debezium.time.NanoTimestamp" => Encoding::Timestamp(Unit::Nano),
            // Text already, with a Z behind it for a zone that the column does not have.
            "io.debezium.time.IsoDate" => Encoding::Date,
            "io.debezium.time.IsoTime" => Encoding::Time(Unit::Nano),
            "io.debezium.time.IsoTimestamp" => Encoding::Timestamp(Unit::Nano),
            "io.debezium.data.Json" => Encoding::Json,
            _ => return None,
        })
    }
}
