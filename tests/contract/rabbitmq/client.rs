//! Who publishes, makes queues and consumes, as the watched applications would.

use super::super::servers::rabbitmq::{ADMIN, Rabbitmq as Server};
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ExchangeKind};
use tokio::runtime::{Builder, Runtime};

/// An administrator's connection.
pub struct Client {
    runtime: Runtime,
    channel: Channel,
    _connection: Connection,
}

pub fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    entries.iter().for_each(|(name, value)| _ = table.insert((*name).into(), value.clone()));
    table
}

pub fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

impl Client {
    #[track_caller]
    pub fn new(server: &Server) -> Client {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let url = server.url(ADMIN, server.port);
        let (connection, channel) = runtime.block_on(async {
            let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
            let channel = connection.create_channel().await.unwrap();
            channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
            (connection, channel)
        });
        Client { runtime, channel, _connection: connection }
    }

    pub fn exchange(&self, name: &str, kind: &str) {
        let kind = ExchangeKind::Custom(kind.into());
        let how = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        self.runtime.block_on(self.channel.exchange_declare(name.into(), kind, how, FieldTable::default())).unwrap();
    }

    pub fn delete_exchange(&self, name: &str) {
        self.runtime.block_on(self.channel.exchange_delete(name.into(), ExchangeDeleteOptions::default())).unwrap();
    }

    pub fn queue(&self, name: &str, arguments: &[(&str, AMQPValue)]) {
        let how = QueueDeclareOptions::durable();
        self.runtime.block_on(self.channel.queue_declare(name.into(), how, table(arguments))).unwrap();
    }

    pub fn bind(&self, queue: &str, exchange: &str, key: &str) {
        let bound = self.channel.queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        self.runtime.block_on(bound).unwrap();
    }

    /// Publishes, and returns once the broker has confirmed it.
    pub fn publish(&self, exchange: &str, key: &str, body: &str) {
        self.publish_with(exchange, key, body, BasicProperties::default());
    }

    pub fn publish_with(&self, exchange: &str, key: &str, body: &str, properties: BasicProperties) {
        self.publish_all(exchange, key, &[body], properties);
    }

    /// Publishes many, and returns once the broker has confirmed all.
    pub fn publish_all<T: AsRef<str>>(&self, exchange: &str, key: &str, bodies: &[T], properties: BasicProperties) {
        self.runtime.block_on(async {
            let mut confirms = Vec::new();
            for body in bodies {
                let how = BasicPublishOptions::default();
                let body = body.as_ref().as_bytes();
                confirms.push(
                    self.channel
                        .basic_publish(exchange.into(), key.into(), how, body, properties.clone())
                        .await
                        .unwrap(),
                );
            }
            for confirm in confirms {
                assert!(matches!(confirm.await.unwrap(), Confirmation::Ack(_)), "the broker has taken it");
            }
        });
    }

    /// Has a queue emptied while this lives, as its application would.
    pub fn consume(&self, queue: &str) -> Consumer {
        let how = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        self.runtime.block_on(self.channel.basic_consume(queue.into(), "".into(), how, FieldTable::default())).unwrap()
    }

    /// Takes a message out of a queue, without acknowledging it.
    pub fn get(&self, queue: &str) -> Option<BasicGetMessage> {
        self.runtime.block_on(self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true })).unwrap()
    }
}
