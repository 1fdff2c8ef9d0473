//! What of librdkafka the safe crate does not offer: fetching without a consumer group, the offset that an
//! end-of-partition event carries, watermarks of many partitions in one request, and the identity of a topic.
//!
//! The legacy consumer of librdkafka is used (`rd_kafka_consume_start_queue`), since a consumer with a `group.id` asks for
//! its group's coordinator even if it never joins, and a broker creates its offsets topic when it is asked.
//!
//! All unsafe code of the source is in this file and in `message.rs`. What it rests on: handles are made once and live
//! as long as the [`Connection`]; what librdkafka hands out is copied, or borrowed for one callback, before it is freed.

use super::message::Message;
use rdkafka::ClientContext;
use rdkafka::bindings as rd;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::Mutex;
use std::time::Duration;

/// So many messages are taken from the queue at once.
const BATCH_MAX: usize = 1024;
/// A request that has no answer after so long has failed.
const REQUEST_TIMEOUT_MS: i32 = 5_000;
/// So many events of the client itself are looked at in one go.
const EVENTS_MAX: usize = 64;

/// An offset that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spec {
    /// The oldest that is there.
    Earliest,
    /// The end.
    Latest,
    /// The first at or after a time in milliseconds.
    At(i64),
}

/// What a broker says of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub name: String,
    /// Which of several topics of this name it is; zero where the broker is too old to know.
    pub id: Id,
    pub partitions: Result<Vec<i32>, RDKafkaErrorCode>,
}

/// The identity of a topic.
pub(super) type Id = (i64, i64);

/// The answer to the request that was made last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Topics(Vec<Description>),
    Offsets(Vec<(String, i32, Result<i64, RDKafkaErrorCode>)>),
    Failed(String),
}

/// Keeps what the client says of itself, for the sentence that tells why the source cannot go on.
#[derive(Default)]
pub(super) struct Context {
    last: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!("librdkafka {level:?} {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("librdkafka: {error}: {reason}");
        if let Some(code) = error.rdkafka_error_code()
            // That all are down says less than why one of them is.
            && code != RDKafkaErrorCode::AllBrokersDown
        {
            let mut last = self.last.lock().unwrap_or_else(|poison| poison.into_inner());
            // What is said after a refusal is only that the connection was closed.
            if last.as_ref().is_none_or(|(last, _)| !is_refusal(*last)) {
                *last = Some((code, reason.to_owned()));
            }
        }
    }
}

/// Whether the cluster does not let us in.
pub(super) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL)
}

impl ConsumerContext for Context {}

/// A connection to a cluster.
pub(super) struct Connection {
    /// Always there until it is dropped.
    handles: Option<Handles>,
    request: usize,
    /// The broker that is asked for topics, where the controller is none of the brokers: so it is in librdkafka's own cluster.
    asked: Option<i32>,
    batch: Vec<*mut rd::rd_kafka_message_t>,
}

struct Handles {
    topics: HashMap<String, *mut rd::rd_kafka_topic_t>,
    started: Vec<(String, i32)>,
    /// Where messages arrive.
    messages: *mut rd::rd_kafka_queue_t,
    /// Where answers arrive.
    answers: *mut rd::rd_kafka_queue_t,
    /// Dropped last.
    consumer: BaseConsumer<Context>,
}

// SAFETY: librdkafka's handles may be used from any thread; the pointers are to them alone.
unsafe impl Send for Handles {}

impl Connection {
    /// Connects, in the background.
    pub fn open(config: &ClientConfig) -> KafkaResult<Connection> {
        let consumer: BaseConsumer<Context> = config.create_with_context(Context::default())?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client lives in the same struct, and the queues are destroyed before it.
        let (messages, answers) = unsafe { (rd::rd_kafka_queue_new(client), rd::rd_kafka_queue_new(client)) };
        let handles = Handles { topics: HashMap::new(), started: Vec::new(), messages, answers, consumer };
        Ok(Connection { handles: Some(handles), request: 0, asked: None, batch: Vec::with_capacity(BATCH_MAX) })
    }

    fn handles(&self) -> &Handles {
        self.handles.as_ref().expect("it is there until it is dropped")
    }

    fn client(&self) -> *mut rd::rd_kafka_t {
        self.handles().consumer.client().native_ptr()
    }

    /// Fetches a partition from an offset on.
    pub fn start(&mut self, topic: &str, partition: i32, offset: i64) -> Result<(), String> {
        let client = self.client();
        let handles = self.handles.as_mut().expect("it is there until it is dropped");
        let handle = match handles.topics.get(topic) {
            Some(handle) => *handle,
            None => {
                let name = c_string(topic)?;
                // SAFETY: the client is alive; the name is copied; no configuration of its own.
                let handle = unsafe { rd::rd_kafka_topic_new(client, name.as_ptr(), ptr::null_mut()) };
                if handle.is_null() {
                    return Err(format!("the topic `{topic}` cannot be opened: {}", last_error()));
                }
                handles.topics.insert(topic.to_owned(), handle);
                handle
            }
        };
        // SAFETY: topic and queue are alive.
        if unsafe { rd::rd_kafka_consume_start_queue(handle, partition, offset, handles.messages) } != 0 {
            return Err(format!("{topic}/{partition} cannot be fetched from offset {offset}: {}", last_error()));
        }
        handles.started.push((topic.to_owned(), partition));
        Ok(())
    }

    /// Fetches a partition no more. What of it waits in the queue is dropped.
    pub fn stop(&mut self, topic: &str, partition: i32) {
        let handles = self.handles.as_mut().expect("it is there until it is dropped");
        handles.stop(topic, partition);
        handles.started.retain(|(name, number)| name != topic || *number != partition);
    }

    /// Shows each message that has come; waits where none has. How many there were.
    pub fn poll(&mut self, wait: Duration, mut each: impl FnMut(&Message<'_>)) -> usize {
        let queue = self.handles().messages;
        let got = Batch(&mut self.batch);
        // SAFETY: the queue is alive, and the array has room for as many messages as it says.
        let count = unsafe { rd::rd_kafka_consume_batch_queue(queue, 0, got.0.as_mut_ptr(), BATCH_MAX) };
        // SAFETY: so many were written, each of them a message that is ours to destroy.
        unsafe { got.0.set_len(usize::try_from(count).unwrap_or(0)) };
        if got.0.is_empty() {
            // SAFETY: the queue is alive.
            let one = unsafe { rd::rd_kafka_consume_queue(queue, millis(wait)) };
            if !one.is_null() {
                got.0.push(one);
            }
        }
        for message in got.0.iter() {
            // SAFETY: a message that is destroyed only when the batch is.
            each(&unsafe { Message::new(&**message) });
        }
        got.0.len()
    }

    /// Waits until a broker has answered for the first time, and finds out whom to ask from then on.
    pub fn meet(&mut self, topic: &str, wait: Duration) -> bool {
        let Ok(metadata) = self.handles().consumer.fetch_metadata(Some(topic), wait) else { return false };
        // SAFETY: the client is alive.
        let controller = unsafe { rd::rd_kafka_controllerid(self.client(), 0) };
        let brokers = metadata.brokers();
        let known = brokers.iter().any(|broker| broker.id() == controller);
        self.asked = brokers.first().map(|broker| broker.id()).filter(|_| !known);
        true
    }

    /// Asks for the partitions of topics; a topic must not stand there twice.
    pub fn ask_topics(&mut self, names: &[String]) -> Result<(), String> {
        let names: Vec<CString> = names.iter().map(|name| c_string(name)).collect::<Result<_, _>>()?;
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let options = self.options(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        if let Some(broker) = self.asked {
            let mut why = [0 as c_char; 256];
            // SAFETY: the options are alive, and the buffer is as long as it says.
            let set = unsafe { rd::rd_kafka_AdminOptions_set_broker(options, broker, why.as_mut_ptr(), why.len()) };
            debug_assert_eq!(set, rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
        }
        // SAFETY: names and options are copied by the call; client and queue are alive.
        unsafe {
            let topics = rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            rd::rd_kafka_DescribeTopics(self.client(), topics, options, self.handles().answers);
            rd::rd_kafka_TopicCollection_destroy(topics);
            rd::rd_kafka_AdminOptions_destroy(options);
        }
        Ok(())
    }

    /// Asks for offsets, of each partition one, in one request a broker. The end is the high watermark, or, of what is
    /// `committed`, the last stable offset.
    pub fn ask_offsets<'a>(
        &mut self,
        which: impl IntoIterator<Item = (&'a str, i32, Spec)>,
        committed: bool,
    ) -> Result<(), String> {
        let list = rdkafka::TopicPartitionList::new();
        for (topic, partition, spec) in which {
            let offset = match spec {
                Spec::Earliest => -2,
                Spec::Latest => -1,
                Spec::At(time) => time,
            };
            let name = c_string(topic)?;
            // SAFETY: the list is alive, and what it hands out lives in it.
            unsafe { (*rd::rd_kafka_topic_partition_list_add(list.ptr(), name.as_ptr(), partition)).offset = offset };
        }
        let options = self.options(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS);
        let level = if committed {
            rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
        } else {
            rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
        };
        // SAFETY: list and options are copied by the call; client and queue are alive.
        unsafe {
            let error = rd::rd_kafka_AdminOptions_set_isolation_level(options, level);
            assert!(error.is_null(), "the option belongs to the request");
            rd::rd_kafka_ListOffsets(self.client(), list.ptr(), options, self.handles().answers);
            rd::rd_kafka_AdminOptions_destroy(options);
        }
        drop(list);
        Ok(())
    }

    /// Options of the next request, which has a number of its own.
    fn options(&mut self, of: rd::rd_kafka_admin_op_t) -> *mut rd::rd_kafka_AdminOptions_t {
        self.request += 1;
        let mut why = [0 as c_char; 256];
        // SAFETY: the client is alive; the opaque value is a number, and is never followed.
        unsafe {
            let options = rd::rd_kafka_AdminOptions_new(self.client(), of);
            let set =
                rd::rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_TIMEOUT_MS, why.as_mut_ptr(), why.len());
            debug_assert_eq!(set, rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
            rd::rd_kafka_AdminOptions_set_opaque(options, self.request as *mut _);
            options
        }
    }

    /// The answer to the last request, once it is there.
    pub fn answer(&mut self) -> Option<Answer> {
        loop {
            // SAFETY: the queue is alive.
            let event = unsafe { rd::rd_kafka_queue_poll(self.handles().answers, 0) };
            if event.is_null() {
                return None;
            }
            // SAFETY: the event is alive until it is destroyed, and what is read from it is copied.
            let answer = unsafe {
                let current = rd::rd_kafka_event_opaque(event) as usize == self.request;
                let answer = current.then(|| read_answer(event));
                rd::rd_kafka_event_destroy(event);
                answer
            };
            if answer.is_some() {
                return answer;
            }
        }
    }

    /// The names of all topics. Blocks for so long at most.
    pub fn all_topics(&self, wait: Duration) -> KafkaResult<Vec<String>> {
        let metadata = self.handles().consumer.fetch_metadata(None, wait)?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    /// What the client last complained of, which it forgets.
    pub fn complaint(&self) -> Option<(RDKafkaErrorCode, String)> {
        let consumer = &self.handles().consumer;
        for _ in 0..EVENTS_MAX {
            if consumer.poll(Duration::ZERO).is_none() {
                break;
            }
        }
        consumer.context().last.lock().unwrap_or_else(|poison| poison.into_inner()).take()
    }
}

impl Handles {
    fn stop(&self, topic: &str, partition: i32) {
        if let Some(handle) = self.topics.get(topic) {
            // SAFETY: the topic is alive.
            unsafe { rd::rd_kafka_consume_stop(*handle, partition) };
        }
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.started.iter().for_each(|(topic, partition)| self.stop(topic, *partition));
        // SAFETY: each handle is destroyed once, and before the client.
        unsafe {
            self.topics.values().for_each(|handle| rd::rd_kafka_topic_destroy(*handle));
            rd::rd_kafka_queue_destroy(self.messages);
            rd::rd_kafka_queue_destroy(self.answers);
        }
    }
}

impl Drop for Connection {
    /// Closing may wait for a broker, which nobody else should.
    fn drop(&mut self) {
        let handles = self.handles.take();
        let closing = std::thread::Builder::new().name("kafka-close".into()).spawn(move || drop(handles));
        if let Err(error) = closing {
            tracing::warn!("the connection to Kafka is closed at once: {error}");
        }
    }
}

/// Messages that are destroyed when nobody looks at them any more.
struct Batch<'a>(&'a mut Vec<*mut rd::rd_kafka_message_t>);

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // SAFETY: each is ours, and destroyed once.
        self.0.drain(..).for_each(|message| unsafe { rd::rd_kafka_message_destroy(message) });
    }
}

/// # Safety
/// The event must be alive.
unsafe fn read_answer(event: *mut rd::rd_kafka_event_t) -> Answer {
    unsafe {
        if rd::rd_kafka_event_error(event) != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Answer::Failed(text(rd::rd_kafka_event_error_string(event)));
        }
        match rd::rd_kafka_event_type(event) {
            rd::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT => Answer::Topics(read_topics(event)),
            rd::RD_KAFKA_EVENT_LISTOFFSETS_RESULT => Answer::Offsets(read_offsets(event)),
            other => Answer::Failed(format!("an event of an unknown kind, {other}")),
        }
    }
}

/// # Safety
/// The event must be alive, and the answer to DescribeTopics.
unsafe fn read_topics(event: *mut rd::rd_kafka_event_t) -> Vec<Description> {
    unsafe {
        let mut count = 0;
        let topics =
            rd::rd_kafka_DescribeTopics_result_topics(rd::rd_kafka_event_DescribeTopics_result(event), &mut count);
        (0..count)
            .map(|index| {
                let topic = *topics.add(index);
                let id = rd::rd_kafka_TopicDescription_topic_id(topic);
                let error = rd::rd_kafka_error_code(rd::rd_kafka_TopicDescription_error(topic));
                let partitions = if error == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    let mut count = 0;
                    let partitions = rd::rd_kafka_TopicDescription_partitions(topic, &mut count);
                    Ok((0..count).map(|at| rd::rd_kafka_TopicPartitionInfo_partition(*partitions.add(at))).collect())
                } else {
                    Err(error.into())
                };
                let id = if id.is_null() {
                    (0, 0)
                } else {
                    (rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id))
                };
                Description { name: text(rd::rd_kafka_TopicDescription_name(topic)), id, partitions }
            })
            .collect()
    }
}

/// # Safety
/// The event must be alive, and the answer to ListOffsets.
unsafe fn read_offsets(event: *mut rd::rd_kafka_event_t) -> Vec<(String, i32, Result<i64, RDKafkaErrorCode>)> {
    unsafe {
        let mut count = 0;
        let infos = rd::rd_kafka_ListOffsets_result_infos(rd::rd_kafka_event_ListOffsets_result(event), &mut count);
        (0..count)
            .map(|index| {
                let place = &*rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos.add(index));
                let offset = match place.err {
                    rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(place.offset),
                    error => Err(error.into()),
                };
                (text(place.topic), place.partition, offset)
            })
            .collect()
    }
}

/// # Safety
/// A text of C that is alive, or null.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("`{}` cannot be the name of a topic", text.escape_default()))
}

fn last_error() -> String {
    // SAFETY: no arguments, no preconditions.
    RDKafkaErrorCode::from(unsafe { rd::rd_kafka_last_error() }).to_string()
}

fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX)
}
