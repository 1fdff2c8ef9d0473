//! Tests without a cluster, and against the one that librdkafka brings along.
