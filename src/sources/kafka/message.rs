//! One message as librdkafka has it, borrowed for as long as it is looked at.

use crate::model::time::Time;
use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::slice;

/// A message, or something that stands in the queue in its place: the end of a partition, an error.
pub(super) struct Message<'m>(&'m rd::rd_kafka_message_t);

impl<'m> Message<'m> {
    /// # Safety
    /// What the message points to must live as long as it.
    pub unsafe fn new(message: &'m rd::rd_kafka_message_t) -> Message<'m> {
        Message(message)
    }

    /// The end of a partition is an error as well.
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        let error = self.0.err;
        (error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| error.into())
    }

    /// What an error says.
    pub fn error_text(&self) -> String {
        self.payload().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
    }

    /// Which topic it is of, as a number that may be given again once the topic is not fetched any more.
    pub fn topic_number(&self) -> usize {
        self.0.rkt as usize
    }

    /// The topic; empty for an error of the whole client.
    pub fn topic(&self) -> &'m str {
        if self.0.rkt.is_null() {
            return "";
        }
        // SAFETY: the message holds the topic, and the topic its name.
        unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.0.rkt)) }.to_str().unwrap_or_default()
    }

    pub fn partition(&self) -> i32 {
        self.0.partition
    }

    /// Where it stands; of the end of a partition, the end.
    pub fn offset(&self) -> i64 {
        self.0.offset
    }

    /// `None`: a tombstone.
    pub fn payload(&self) -> Option<&'m [u8]> {
        // SAFETY: the message holds so many bytes there.
        unsafe { bytes(self.0.payload, self.0.len) }
    }

    pub fn key(&self) -> Option<&'m [u8]> {
        // SAFETY: the message holds so many bytes there.
        unsafe { bytes(self.0.key, self.0.key_len) }
    }

    /// The producer's time, or the broker's where the topic says so.
    pub fn time(&self) -> Option<Time> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive.
        let millis = unsafe { rd::rd_kafka_message_timestamp(self.0, &mut kind) };
        let known = kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && millis >= 0;
        known.then(|| millis.checked_mul(1_000_000)).flatten().map(Time)
    }

    /// Puts the headers into a list, in their order. One without a value has none.
    pub fn headers(&self, into: &mut Vec<(&'m str, Option<&'m [u8]>)>) {
        into.clear();
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive, and owns its headers.
        if unsafe { rd::rd_kafka_message_headers(self.0, &mut headers) }
            != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return;
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers are alive; an index beyond the last one is an error.
            let error = unsafe { rd::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size) };
            if error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            // SAFETY: name and value live as long as the headers.
            let (name, value) = unsafe { (CStr::from_ptr(name), bytes(value.cast_mut(), size)) };
            into.push((name.to_str().unwrap_or_default(), value));
        }
    }
}

/// # Safety
/// So many bytes stand there for as long as `'m`, or the pointer is null.
unsafe fn bytes<'m>(at: *mut c_void, length: usize) -> Option<&'m [u8]> {
    (!at.is_null()).then(|| unsafe { slice::from_raw_parts(at.cast::<u8>(), length) })
}
