//! What `benches/kafka` needs beside `throughline`: a topic full of orders, and the bare loop that reads it.
//!
//! ```text
//! kafka produce BROKERS TOPIC PARTITIONS MESSAGES    orders: placed, paid, shipped; at the end a mark in each partition
//! kafka consume BROKERS TOPIC PARTITIONS MESSAGES    reads them all with librdkafka, and prints the seconds that took
//! ```

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Orders under way at once.
const OPEN: u64 = 1_000;

fn main() {
    // `cargo bench` adds an argument of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [command, brokers, topic, partitions, messages] = &arguments[..] else { return };
    let (partitions, messages) = (partitions.parse().unwrap(), messages.parse().unwrap());
    match command.as_str() {
        "produce" => produce(brokers, topic, partitions, messages),
        "consume" => consume(brokers, topic, partitions, messages),
        other => panic!("there is no command {other}"),
    }
}

fn produce(brokers: &str, topic: &str, partitions: i32, messages: u64) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "20")
        .set("batch.size", "500000")
        .create()
        .unwrap();
    let send = |partition: i32, key: &str, payload: &str| {
        let mut record = BaseRecord::to(topic).partition(partition).key(key).payload(payload);
        while let Err((_, back)) = producer.send(record) {
            record = back;
            producer.poll(Duration::from_millis(10));
        }
    };
    let note = "n".repeat(150);
    for number in 0..messages {
        // Each order has three messages, a thousand orders apart.
        let (block, within) = (number / (3 * OPEN), number % (3 * OPEN));
        let (order, step) = (block * OPEN + within % OPEN, ["placed", "paid", "shipped"][(within / OPEN) as usize]);
        let payload = format!(
            r#"{{"type":"{step}","order_id":"o-{order}","payment_id":"p-{order}","customer":"c-{}","amount":{},"currency":"EUR","note":"{note}"}}"#,
            order % 9_973,
            1 + order % 500
        );
        send((order % partitions as u64) as i32, &format!("o-{order}"), &payload);
    }
    producer.flush(PATIENCE).unwrap();
    (0..partitions)
        .for_each(|partition| send(partition, "end", &format!(r#"{{"type":"end","order_id":"end-{partition}"}}"#)));
    producer.flush(PATIENCE).unwrap();
}

fn consume(brokers: &str, topic: &str, partitions: i32, messages: u64) {
    let begun = Instant::now();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    (0..partitions).for_each(|partition| all.add_partition_offset(topic, partition, Offset::Beginning).unwrap());
    consumer.assign(&all).unwrap();
    let (mut count, mut bytes) = (0, 0);
    while count < messages + partitions as u64 {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            bytes += message.unwrap().payload().map_or(0, <[u8]>::len);
            count += 1;
        }
    }
    println!("{:.3} {bytes}", begun.elapsed().as_secs_f64());
}
